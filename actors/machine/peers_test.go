package machine_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// peer is a client or a worker in the hands of a test.
type peer struct {
	*stage
	*link
	t testing.TB
}

func newTheatre(t testing.TB, cfg machine.BrokerConfig) *theatre {
	return &theatre{stage: newStage(t, cfg), t: t}
}

// theatre is a stage with peers that a test plays; all that follows from a message has happened when say returns.
type theatre struct {
	*stage
	t testing.TB
}

func (s *theatre) peer() *peer { return &peer{s.stage, s.connect(), s.t} }

// client is a client that has been welcomed.
func (s *theatre) client() *peer {
	p := s.peer()
	p.say(wire.Header{Type: wire.Hello}, `{"name":"somebody"}`)
	p.expect(wire.Welcome)
	return p
}

// worker is a worker that has been welcomed, with the service "echo".
func (s *theatre) worker(name string, slots int) *peer {
	p := s.peer()
	p.ready(wire.ReadyInfo{Name: name, Services: []string{"echo"}, Slots: slots, PID: 4711, Host: "here"})
	p.expect(wire.Welcome)
	return p
}

func (p *peer) ready(info wire.ReadyInfo) {
	p.t.Helper()
	text, err := json.Marshal(info)
	require.NoError(p.t, err)
	p.say(wire.Header{Type: wire.Ready}, string(text))
}

// whisper puts a message where the broker, or the actor it names, will find it; nobody handles anything yet.
func (p *peer) whisper(h wire.Header, body ...string) {
	p.t.Helper()
	frames := make([][]byte, len(body))
	for i := range body {
		frames[i] = []byte(body[i])
	}
	require.NoError(p.t, h.Check(len(frames)), "a test says what is not HIT/1")
	require.True(p.t, p.deliver(p.link, wire.NewMessage(h, frames...)), "the bridge takes nothing from this peer: %v", h)
}

func (p *peer) say(h wire.Header, body ...string) {
	p.t.Helper()
	p.whisper(h, body...)
	p.run()
}

// next takes the oldest message that the peer has not read.
func (p *peer) next() *wire.Message {
	p.t.Helper()
	require.NotEmpty(p.t, p.inbox, "nothing came")
	m := p.inbox[0]
	p.inbox = p.inbox[1:]
	return m
}

func (p *peer) expect(want wire.Type) *wire.Message {
	p.t.Helper()
	m := p.next()
	require.Equal(p.t, want, m.Header.Type, "%v: %s", m.Header, m.Frame(0))
	return m
}

// expectError takes an ERROR, whose text must say what, why and what to do, and whose status has been counted.
func (p *peer) expectError(status wire.Status, outcome wire.Outcome, contains ...string) *wire.Message {
	p.t.Helper()
	m := p.expect(wire.Error)
	require.Equal(p.t, status, m.Header.Status, "%s", m.Frame(0))
	require.Equal(p.t, outcome, wire.Outcome(m.Header.Arg), "%s", m.Frame(0))
	require.Positive(p.t, p.counts[status], "the refusal was not counted")
	require.Regexp(p.t, `\w{3,}.*[:;,] .*\w{3,}`, string(m.Frame(0)), "an error says what, why, and what to do")
	for _, words := range contains {
		require.Contains(p.t, string(m.Frame(0)), words)
	}
	return m
}

// silent fails the test if something came.
func (p *peer) silent() {
	p.t.Helper()
	for _, m := range p.inbox {
		require.Fail(p.t, "something came", "%v: %s", m.Header, m.Frame(0))
	}
}

// vanish loses the peer's connection.
func (p *peer) vanish() {
	p.lose(p.link, "disconnected", "its connection (descriptor 9) was closed")
	p.run()
}

func (p *peer) open(ref uint64, frames ...string) { p.openFor(ref, 0, 0, frames...) }

func (p *peer) openFor(ref uint64, flags wire.Flags, ms uint32, frames ...string) {
	p.t.Helper()
	if len(frames) == 0 {
		frames = []string{"echo", ""}
	}
	p.say(wire.Header{Type: wire.Open, Flags: wire.Ref | flags, Hit: ref, Arg: ms}, frames...)
}

const oneShot = wire.First | wire.Last

// session is a hit between a client and a worker.
type session struct {
	c, w   *peer
	handle uint64
	epoch  uint32 // of the worker's leg
	ref    uint64
}

// begun is a hit whose BEGIN the worker has read.
func (s *theatre) begun(c, w *peer, ref uint64, flags wire.Flags) *session {
	s.t.Helper()
	frames := []string{"echo", ""}
	if flags != 0 {
		frames = append(frames, "first")
	}
	c.openFor(ref, flags, 0, frames...)
	m := w.expect(wire.Begin)
	return &session{c, w, m.Header.Hit, m.Header.Epoch, ref}
}

// opened is a hit that both sides know of.
func (s *theatre) opened(c, w *peer, ref uint64, flags wire.Flags) *session {
	s.t.Helper()
	h := s.begun(c, w, ref, flags)
	h.worker(wire.Header{Type: wire.Opened, Arg: 4712})
	h.c.expect(wire.Opened)
	return h
}

// client has the client say something of the hit.
func (h *session) client(head wire.Header, body ...string) {
	h.c.t.Helper()
	head.Hit, head.Epoch = h.handle, 1
	h.c.say(head, body...)
}

// byRef has the client say something by its reference.
func (h *session) byRef(head wire.Header, body ...string) {
	h.c.t.Helper()
	head.Hit, head.Flags = h.ref, head.Flags|wire.Ref
	h.c.say(head, body...)
}

// worker has the worker say something of the hit.
func (h *session) worker(head wire.Header, body ...string) {
	h.w.t.Helper()
	head.Hit, head.Epoch = h.handle, h.epoch
	h.w.say(head, body...)
}

func (h *session) call(seq uint32, flags wire.Flags) {
	h.c.t.Helper()
	h.client(wire.Header{Type: wire.Call, Flags: flags, Seq: seq}, "question")
}

func (h *session) reply(seq uint32, flags wire.Flags) {
	h.c.t.Helper()
	h.worker(wire.Header{Type: wire.Reply, Flags: flags, Seq: seq}, "answer")
}

// state returns the specification's word for where the hit stands.
func (h *session) state() string {
	for _, x := range h.c.broker.AllHits() {
		if x.Handle == h.handle {
			return x.State.String()
		}
	}
	return "over"
}

// of returns the machine of the hit's worker.
func (h *session) of() *machine.Worker {
	for _, w := range h.w.broker.AllWorkers() {
		if w.Peer == h.w.ref {
			return w
		}
	}
	return nil
}

// used returns how many slots of all workers are taken.
func (s *theatre) used() int {
	n := 0
	for _, w := range s.broker.AllWorkers() {
		n += w.Load.Used
	}
	return n
}
