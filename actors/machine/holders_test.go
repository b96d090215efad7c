package machine_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// holding is one hit, and two clients that both know its key. Connections break at any step, and take along what was on its way.
type holding struct {
	*stage
	chance  *rand.Rand
	handle  uint64
	key     string
	holders []*holder
	worker  *link
	epoch   uint32 // of the worker's leg
	out     []*wire.Message
	waiting []uint32          // calls that the service has not answered
	bodies  map[uint32]string // of the calls that reached the service
	closing bool              // END has come
	ended   bool
	lost    int // answers of which a holder was told that they are
}

// seeded names the seed of a world in which a test fails.
type seeded struct {
	t    *testing.T
	seed uint64
}

// Errorf is testify's.
func (s seeded) Errorf(format string, args ...any) {
	s.t.Errorf("seed %d: "+format, append([]any{s.seed}, args...)...)
}

// FailNow is testify's.
func (s seeded) FailNow() { s.t.FailNow() }

// holder is a client: a connection, and what it knows of the hit.
type holder struct {
	*holding
	name   string
	link   *link
	out    []*wire.Message
	asked  uint32 // the arg of its RESUME
	waits  bool   // for RESUMED
	epoch  uint32 // 0: it does not hold the hit
	next   uint32 // seq of its next call
	heard  uint32 // its last answer
	sent   map[uint32]string
	closed bool // it was told that the hit is over
}

// newHolding returns a world that goes as the seed has it; a failed test names it.
func newHolding(t *testing.T, seed uint64) *holding {
	chance := rand.New(rand.NewPCG(seed, 0))
	cfg := config()
	cfg.MaxKept = []int{0, 150, 1000}[chance.IntN(3)]
	w := &holding{stage: newStage(seeded{t, seed}, cfg), chance: chance, bodies: map[uint32]string{}}
	w.worker = w.connect()
	w.deliver(w.worker, wire.NewMessage(wire.Header{Type: wire.Ready}, []byte(`{"services":["echo"],"slots":1}`)))
	w.run()
	for _, name := range []string{"ann", "bob"} {
		h := &holder{holding: w, name: name, sent: map[uint32]string{}, next: 1}
		w.holders = append(w.holders, h)
		h.dial()
	}
	ann := w.holders[0]
	w.deliver(ann.link, wire.NewMessage(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 1}, []byte("echo"), []byte(`{"resume_ms": 5000}`)))
	w.run()
	begin := w.worker.inbox[len(w.worker.inbox)-1]
	w.handle, w.epoch = begin.Header.Hit, begin.Header.Epoch
	w.deliver(w.worker, wire.NewMessage(wire.Header{Type: wire.Opened, Hit: w.handle, Epoch: w.epoch}))
	w.run()
	opened := ann.link.inbox[len(ann.link.inbox)-1]
	w.key, ann.epoch = string(opened.Frame(2)), opened.Header.Epoch
	ann.link.inbox, w.worker.inbox = nil, nil
	return w
}

func (h *holder) dial() {
	h.link, h.out, h.epoch, h.waits = h.connect(), nil, 0, false
	h.deliver(h.link, wire.NewMessage(wire.Header{Type: wire.Hello}, []byte("{}")))
	h.run()
	h.link.inbox = nil
}

func (h *holder) say(head wire.Header, body ...string) {
	head.Hit = h.handle
	m := wire.NewMessage(head)
	for _, b := range body {
		m.Body = append(m.Body, []byte(b))
		m.Size += len(b)
	}
	h.out = append(h.out, m)
}

// act does what a client may do.
func (h *holder) act(what int) {
	switch {
	case h.closed:
	case what < 2:
		h.lose(h.link, "disconnected", h.name+"'s fate")
		h.dial()
	case h.epoch == 0 && what < 8 && !h.waits:
		h.asked, h.waits = h.heard, true
		h.say(wire.Header{Type: wire.Resume, Seq: h.next - 1, Arg: h.heard}, h.key)
	case h.epoch == 0:
	case what == 3:
		h.say(wire.Header{Type: wire.Ack, Epoch: h.epoch, Arg: h.heard})
	case what == 4:
		h.say(wire.Header{Type: wire.Detach, Epoch: h.epoch})
		h.epoch = 0
	case h.next-h.heard <= 3:
		body := fmt.Sprintf("%s asks %d under %d", h.name, h.next, h.epoch)
		h.sent[h.next] = body
		h.say(wire.Header{Type: wire.Call, Epoch: h.epoch, Seq: h.next}, body)
		h.next++
	}
}

// read takes what the broker says: under one attachment each answer comes once, in order, and none is left out.
func (h *holder) read() bool {
	if len(h.link.inbox) == 0 {
		return false
	}
	m := h.link.inbox[0]
	h.link.inbox = h.link.inbox[1:]
	switch m.Header.Type {
	case wire.Resumed:
		h.epoch, h.next, h.waits = m.Header.Epoch, m.Header.Seq+1, false
		h.heard = max(h.asked, binary.BigEndian.Uint32(m.Frame(1)))
		require.LessOrEqual(h.t, h.heard, m.Header.Arg)
	case wire.Reply:
		h.answer(m)
		require.Equal(h.t, "re: "+h.bodies[m.Header.Seq], string(m.Frame(0)))
	case wire.Error:
		if m.Header.Status == wire.LostReply {
			require.EqualValues(h.t, wire.ReplyLost, m.Header.Arg)
			h.lost++
			require.Contains(h.t, h.bodies, m.Header.Seq, "it ran")
			h.answer(m)
			return true
		}
		require.EqualValues(h.t, wire.NeverStarted, m.Header.Arg, "%v: %s", m.Header, m.Frame(0))
		if m.Header.Epoch == h.epoch && m.Header.Status != wire.UnknownHit {
			require.Contains(h.t, []wire.Status{wire.NotOwner, wire.StaleEpoch, wire.BadSeq, wire.QueueFull}, m.Header.Status, "%s", m.Frame(0))
		}
		h.closed = h.closed || m.Header.Status == wire.UnknownHit
	case wire.Closed:
		if m.Header.Status == wire.Fenced {
			if m.Header.Epoch == h.epoch {
				h.epoch = 0
			}
			return true
		}
		h.closed = true
	default:
		require.Fail(h.t, "a client got", "%v", m.Header)
	}
	return true
}

func (h *holder) answer(m *wire.Message) {
	if m.Header.Epoch != h.epoch {
		require.Zero(h.t, h.epoch, "an answer under attachment %d, but %s holds %d", m.Header.Epoch, h.name, h.epoch)
		return // it has detached meanwhile
	}
	require.Equal(h.t, h.heard+1, m.Header.Seq, "%s misses an answer, or gets one twice: %v", h.name, m.Header)
	h.heard = m.Header.Seq
}

// serve lets the service answer one call, or read one message.
func (w *holding) serve() bool {
	if len(w.worker.inbox) > 0 {
		m := w.worker.inbox[0]
		w.worker.inbox = w.worker.inbox[1:]
		switch m.Header.Type {
		case wire.Call:
			require.EqualValues(w.t, len(w.bodies)+1, m.Header.Seq, "a call runs twice, or is left out")
			w.bodies[m.Header.Seq] = string(m.Frame(0))
			w.waiting = append(w.waiting, m.Header.Seq)
		case wire.End:
			w.closing = true
		}
		return true
	}
	head := wire.Header{Type: wire.Reply, Hit: w.handle, Epoch: w.epoch}
	switch {
	case len(w.waiting) > 0:
		head.Seq = w.waiting[0]
		w.waiting = w.waiting[1:]
		w.out = append(w.out, wire.NewMessage(head, []byte("re: "+w.bodies[head.Seq])))
	case w.closing && !w.ended:
		w.ended = true
		head.Type, head.Arg = wire.Ended, uint32(len(w.bodies))
		w.out = append(w.out, wire.NewMessage(head))
	default:
		return false
	}
	return true
}

func (w *holding) send(l *link, out *[]*wire.Message) bool {
	if len(*out) == 0 {
		return false
	}
	m := (*out)[0]
	*out = (*out)[1:]
	w.deliver(l, m)
	return true
}

func (w *holding) turn(pick int) bool {
	var busy []*node
	for _, n := range w.nodes {
		if len(n.box) > 0 || !n.up {
			busy = append(busy, n)
		}
	}
	return len(busy) > 0 && w.step(busy[pick%len(busy)])
}

// settle moves all that can move.
func (w *holding) settle() {
	for moved := true; moved; {
		moved = w.turn(0) || w.serve() || w.send(w.worker, &w.out)
		for _, h := range w.holders {
			moved = h.read() || w.send(h.link, &h.out) || moved
		}
	}
}

// A client that loses its connection at any step and resumes never sees an answer twice under one attachment, never misses one without being told that it
// is lost, and no call runs twice; whoever else has the key changes nothing of that.
func TestHoldersOfOneKey(t *testing.T) {
	quote(t, "in order and each once, under the new epoch")
	fenced, lost := 0, 0 // in all worlds
	seeds := uint64(1000)
	if testing.Short() {
		seeds = 100
	}
	for seed := range seeds {
		w := newHolding(t, seed)
		for range 400 {
			w.happen()
		}
		w.conclude()
		fenced += w.counts[wire.Fenced]
		lost += w.lost
	}
	require.Positive(t, fenced, "no holder was ever fenced: the test tests nothing")
	require.Positive(t, lost, "no answer was ever lost: the test tests nothing")
}

func (w *holding) happen() {
	h := w.holders[w.chance.IntN(2)]
	switch w.chance.IntN(10) {
	case 0, 1:
		h.act(w.chance.IntN(20))
	case 2, 3, 4:
		w.turn(w.chance.IntN(10))
	case 5:
		h.read()
	case 6:
		w.send(h.link, &h.out)
	case 7:
		w.serve()
	case 8:
		w.send(w.worker, &w.out)
	case 9:
		if w.chance.IntN(60) == 0 {
			w.tick(2 * time.Second)
		}
	}
}

// conclude has the last holder take the hit up, unless it is over, and hear all there is to hear.
func (w *holding) conclude() {
	w.settle()
	h := w.holders[0]
	if !h.closed && !w.ended {
		h.epoch, h.asked = 0, h.heard
		h.say(wire.Header{Type: wire.Resume, Seq: h.next - 1, Arg: h.heard}, w.key)
		w.settle()
	}
	if !h.closed && !w.ended {
		require.NotZero(w.t, h.epoch)
		require.EqualValues(w.t, len(w.bodies), h.heard, "not all that ran is answered")
		h.say(wire.Header{Type: wire.Close, Epoch: h.epoch})
		w.settle()
		require.True(w.t, h.closed)
		h.say(wire.Header{Type: wire.Ack, Epoch: h.epoch, Arg: h.heard})
		w.settle()
		require.Zero(w.t, w.broker.Inventory().Graves)
	}
	w.tick(time.Minute)
	w.settle()
	i := w.broker.Inventory()
	require.Zero(w.t, i.Hits+i.Graves+i.Adrift)
	require.Empty(w.t, w.stage.handles.inUse)
}
