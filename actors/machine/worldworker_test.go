package machine_test

import (
	"encoding/json"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// servant is a worker of the world.
type servant struct {
	*world
	link     *link
	out      []*wire.Message
	wild     bool
	bye      bool
	slots    int
	most     int  // how far slots can grow
	other    int  // slots that hits of other brokers have
	untold   bool // the broker has not been told how many are left to it
	offered  []string
	strays   bool // it offers something else at present
	busy     int
	sessions []*serving
}

// serving is a session as its worker knows it.
type serving struct {
	handle  uint64
	epoch   uint32
	oneshot bool
	open    bool
	ending  bool
	queue   []*task
	heard   uint32 // highest seq that came
	moved   bool   // from another worker: any seq may be the first
	begun   uint32
}

type task struct {
	seq       uint32
	body      string
	last      bool
	cancelled bool
}

func (w *world) newServant(busy int) {
	s := &servant{world: w, link: w.connect(), wild: w.chance(4, "a wild worker"), slots: 1 + w.draw(3, "slots")}
	s.most = s.slots + w.draw(3, "room to grow")
	s.busy = min(busy, s.slots)
	w.workers = append(w.workers, s)
	offered := [][]string{{"a"}, {"b"}, {"a", "b"}}[w.draw(3, "services")]
	info := wire.ReadyInfo{Services: offered, Slots: s.slots, Busy: s.busy, Name: []string{"", "x", "y"}[w.draw(3, "name")]}
	if s.most > s.slots {
		info.SlotsMax = s.most
	}
	s.offered = offered
	s.link.claimed = info.Name != ""
	text, err := json.Marshal(info)
	require.NoError(w.t, err)
	s.say(wire.Header{Type: wire.Ready}, string(text))
}

func (s *servant) say(h wire.Header, body ...string) {
	frames := make([][]byte, len(body))
	for i := range body {
		frames[i] = []byte(body[i])
	}
	require.NoError(s.t, h.Check(len(frames)))
	s.out = append(s.out, wire.NewMessage(h, frames...))
}

func (s *servant) of(x *serving, h wire.Header, body ...string) {
	h.Hit, h.Epoch = x.handle, x.epoch
	s.say(h, body...)
}

// vanish loses the connection; the next one may still hold slots.
func (s *servant) vanish() {
	s.lose(s.link, "disconnected", "chance")
	if !s.wild && !s.calm {
		s.newServant(len(s.sessions))
	}
}

func (s *servant) session(handle uint64) *serving {
	for _, x := range s.sessions {
		if x.handle == handle {
			return x
		}
	}
	return nil
}

func (s *servant) end(x *serving) {
	for i := range s.sessions {
		if s.sessions[i] == x {
			s.sessions = append(s.sessions[:i:i], s.sessions[i+1:]...)
			return
		}
	}
}

// read takes one message off the wire.
func (s *servant) read() {
	if len(s.link.inbox) == 0 {
		return
	}
	m := s.link.inbox[0]
	s.link.inbox = s.link.inbox[1:]
	if s.wild {
		return
	}
	x := s.session(m.Header.Hit)
	switch m.Header.Type {
	case wire.Welcome, wire.Bye:
	case wire.Ping:
		s.say(wire.Header{Type: wire.Pong, Arg: m.Header.Arg})
	case wire.Begin:
		s.begin(m)
	case wire.Call:
		s.called(x, m)
	case wire.Cancel:
		if x != nil {
			for _, t := range x.queue {
				t.cancelled = t.cancelled || m.Header.Seq == 0 || m.Header.Seq == t.seq
			}
		}
	case wire.End:
		if x == nil {
			s.say(wire.Header{Type: wire.Ended, Status: wire.UnknownHit, Hit: m.Header.Hit, Epoch: m.Header.Epoch})
		} else {
			x.ending = true
		}
	case wire.Error:
		about := m.Header.Hit
		crosses := x == nil && m.Header.Status == wire.UnknownHit // what it said was about a session that has ended since
		require.True(s.t, about == 0 || crosses || s.world.crashed[about] || s.link.hungUp != "", "an honest worker is refused: %v: %s", m.Header, m.Frame(0))
	default:
		require.Fail(s.t, "an honest worker got", "%v", m.Header)
	}
}

func (s *servant) begin(m *wire.Message) {
	epochs := s.world.handles[m.Header.Hit]
	require.NotContains(s.t, epochs, m.Header.Epoch, "handle %x is issued twice", m.Header.Hit)
	require.LessOrEqual(s.t, len(epochs), s.cfg.MaxMoves, "hit %x moves too often", m.Header.Hit)
	require.Nil(s.t, s.session(m.Header.Hit), "hit %x comes back to a worker that has it", m.Header.Hit)
	s.world.handles[m.Header.Hit] = append(epochs, m.Header.Epoch)
	if s.used() >= s.most {
		require.True(s.t, s.other > 0 || s.untold, "BEGIN of hit %x, but all slots are busy", m.Header.Hit)
		s.refuse(m)
		return
	}
	s.slots = max(s.slots, s.used()+1)
	x := &serving{handle: m.Header.Hit, epoch: m.Header.Epoch, oneshot: m.Header.Flags.Has(wire.Last), moved: len(epochs) > 0}
	if m.Header.Flags.Has(wire.First) {
		x.heard = 1
		x.queue = []*task{{seq: 1, body: string(m.Frame(2)), last: x.oneshot}}
	}
	s.sessions = append(s.sessions, x)
}

func (s *servant) used() int { return len(s.sessions) + s.busy + s.other }

// refuse says that the slot is another broker's meanwhile; how many are left has to be told after that.
func (s *servant) refuse(m *wire.Message) {
	x := &serving{handle: m.Header.Hit, epoch: m.Header.Epoch}
	s.untold = true
	if m.Header.Flags.Has(wire.Last) {
		s.of(x, wire.Header{Type: wire.Error, Flags: wire.Last, Status: wire.SlotTaken, Seq: 1, Arg: uint32(wire.NeverStarted)}, "taken")
		return
	}
	s.of(x, wire.Header{Type: wire.Ended, Status: wire.SlotTaken}, "taken")
}

// elsewhere lets hits of other brokers come and go, and slots that nobody uses.
func (s *servant) elsewhere() {
	s.untold = true
	switch s.draw(4, "elsewhere") {
	case 0:
		if s.used() < s.most {
			s.other++
			s.slots = max(s.slots, s.used())
		}
	case 1:
		s.other = max(s.other-1, 0)
	case 2:
		s.slots = max(s.slots-1, s.used(), 1)
	}
}

// tell says CHANGED.
func (s *servant) tell() {
	s.untold = false
	most := s.most - s.other
	info := wire.ChangedInfo{Slots: s.slots - s.other, SlotsMax: &most}
	switch {
	case s.calm && s.strays:
		info.Services, s.strays = s.offered, false
	case !s.calm && s.chance(4, "it offers something else"):
		info.Services, s.strays = [][]string{{"a"}, {"b"}, {"a", "b"}}[s.draw(3, "what")], true
		info.Labels = []map[string]string{{}, {"big": "1"}}[s.draw(2, "labels")]
	}
	text, err := json.Marshal(info)
	require.NoError(s.t, err)
	s.say(wire.Header{Type: wire.Changed}, string(text))
}

func (s *servant) called(x *serving, m *wire.Message) {
	if x == nil {
		s.say(wire.Header{Type: wire.Error, Status: wire.UnknownHit, Hit: m.Header.Hit, Epoch: m.Header.Epoch, Seq: m.Header.Seq, Arg: uint32(wire.NeverStarted)}, "no such session")
		return
	}
	if x.moved && x.heard == 0 {
		x.heard = m.Header.Seq - 1
	}
	require.Equal(s.t, x.heard+1, m.Header.Seq, "calls of hit %x out of order", x.handle)
	require.False(s.t, x.ending, "a call behind END")
	x.heard++
	x.queue = append(x.queue, &task{seq: x.heard, body: string(m.Frame(0)), last: m.Header.Flags.Has(wire.Last)})
}

// act does something that a worker does.
func (s *servant) act() {
	if s.link.gone {
		return
	}
	if s.wild && s.chance(2, "nonsense") {
		if m := s.nonsense(fromWorkers); m != nil {
			s.out = append(s.out, m)
		}
		return
	}
	switch {
	case s.untold && (s.calm || s.chance(3, "it tells")):
		s.tell()
		return
	case !s.calm && s.chance(8, "elsewhere"):
		s.elsewhere()
		return
	}
	if s.busy > 0 && s.chance(3, "an old session ends") {
		s.busy--
		s.say(wire.Header{Type: wire.Ended})
		return
	}
	if len(s.sessions) == 0 {
		if !s.calm && !s.bye && s.chance(10, "bye") {
			s.bye = true
			s.say(wire.Header{Type: wire.Bye})
		}
		return
	}
	x := s.sessions[s.draw(len(s.sessions), "session")]
	switch {
	case !x.open:
		s.openOne(x)
	case !s.calm && s.chance(12, "it ends by itself"):
		s.endBySelf(x)
	case len(x.queue) > 0:
		s.serve(x)
	case x.ending:
		s.end(x)
		s.of(x, wire.Header{Type: wire.Ended, Arg: x.begun})
	}
}

func (s *servant) openOne(x *serving) {
	if s.calm || !s.chance(5, "it cannot be opened") {
		x.open = true
		if !x.oneshot {
			s.of(x, wire.Header{Type: wire.Opened, Arg: 4712})
		}
		return
	}
	s.end(x)
	switch {
	case x.oneshot:
		s.of(x, wire.Header{Type: wire.Error, Flags: wire.Last, Status: wire.ServiceError, Seq: 1, Arg: uint32(wire.NeverStarted)}, "cannot be opened")
	case s.chance(2, "by ERROR"):
		s.of(x, wire.Header{Type: wire.Error, Status: wire.ServiceError, Arg: uint32(wire.NeverStarted)}, "cannot be opened")
	default:
		s.of(x, wire.Header{Type: wire.Ended, Status: wire.ServiceError}, "cannot be opened")
	}
}

func (s *servant) endBySelf(x *serving) {
	if x.oneshot {
		return
	}
	s.end(x)
	s.of(x, wire.Header{Type: wire.Ended, Status: wire.ServiceError, Arg: x.begun}, "time is up")
}

// serve runs the next call of a session.
func (s *servant) serve(x *serving) {
	t := x.queue[0]
	x.queue = x.queue[1:]
	head := wire.Header{Type: wire.Reply, Seq: t.seq}
	text := "re: " + t.body
	if t.last {
		head.Flags = wire.Last
	}
	how := 0
	if !s.calm {
		how = s.draw(10, "how it goes")
	}
	switch {
	case t.cancelled:
		head.Type, head.Status, head.Arg = wire.Error, wire.Cancelled, uint32(wire.NeverStarted)
		text = "cancelled before its turn came"
	default:
		require.False(s.t, s.denied[t.body], "%q runs, but its client was told that it never started", t.body)
		require.False(s.t, s.ran[t.body] && !s.twice[t.body], "%q runs twice", t.body)
		s.ran[t.body] = true
		x.begun = t.seq
		switch how {
		case 6:
			s.of(x, wire.Header{Type: wire.Working, Seq: t.seq, Arg: 5000}, "half")
		case 7:
			head.Type, head.Status, text = wire.Error, wire.ServiceError, "no"
		case 8:
			head.Flags ^= wire.Last // forgets it, or says it unasked
		case 9:
			head.Type, head.Status, head.Arg, text = wire.Error, wire.Panicked, uint32(wire.Unknown), "crashed"
		}
	}
	s.of(x, head, text)
	switch {
	case t.last || head.Flags.Has(wire.Last):
		s.end(x)
	case head.Status == wire.Panicked:
		s.end(x)
		s.of(x, wire.Header{Type: wire.Ended, Status: wire.Panicked, Arg: x.begun}, "crashed")
	}
}
