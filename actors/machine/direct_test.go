package machine_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

const doorway = "tcp://127.0.0.1:4711"

// directWorker is a worker that has been welcomed, with the service "echo" on both ways.
func (s *theatre) directWorker(name string, slots int) *peer {
	p := s.peer()
	p.ready(wire.ReadyInfo{Name: name, Services: []string{"echo"}, Slots: slots, Direct: doorway})
	p.expect(wire.Welcome)
	return p
}

// openedDirect is a direct hit that both sides know of.
func (s *theatre) openedDirect(c, w *peer, ref uint64) *session {
	s.t.Helper()
	c.openFor(ref, wire.Direct, 0, "echo", "")
	m := w.expect(wire.Begin)
	h := &session{c, w, m.Header.Hit, m.Header.Epoch, ref}
	h.worker(wire.Header{Type: wire.Opened, Arg: 4712})
	h.c.expect(wire.Opened)
	return h
}

func TestOpenDirect(t *testing.T) {
	s := newTheatre(t, config())
	c, routed, w := s.client(), s.worker("routed", 9), s.directWorker("w", 1)
	c.openFor(1, wire.Direct, 0, "echo", `{"label":"x"}`)
	routed.silent()
	begin := w.expect(wire.Begin)
	require.Equal(t, wire.Direct, begin.Header.Flags)
	require.Equal(t, [][]byte{[]byte("echo"), []byte(`{"label":"x"}`), []byte("a one-time token")}, begin.Body)
	h := &session{c, w, begin.Header.Hit, begin.Header.Epoch, 1}
	h.worker(wire.Header{Type: wire.Opened, Arg: 4712})
	opened := c.expect(wire.Opened)
	require.Equal(t, wire.Header{Type: wire.Opened, Flags: wire.Ref | wire.Direct, Hit: 1, Epoch: 1, Arg: 4712}, opened.Header)
	handle := binary.BigEndian.AppendUint64(nil, h.handle)
	require.Equal(t, [][]byte{handle, []byte("w"), nil, []byte(doorway), []byte("a one-time token"), {}}, opened.Body)

	// The calls go elsewhere.
	h.call(1, 0)
	c.expectError(wire.BadType, wire.NeverStarted, "direct")
	w.silent()
	h.reply(1, 0)
	w.expectError(wire.BadSeq, wire.NeverStarted)
	c.silent()

	// The slots are the same on both ways: this one is taken.
	c.openFor(2, wire.Direct, 0, "echo", "")
	c.silent()
	require.Equal(t, 1, s.broker.Status(s.now).Services[0].Waiting)
	require.Len(t, s.broker.Status(s.now).Services, 1)
	h.client(wire.Header{Type: wire.Close})
	w.expect(wire.End)
	h.worker(wire.Header{Type: wire.Ended})
	require.Equal(t, wire.OK, c.expect(wire.Closed).Header.Status)
	w.expect(wire.Begin)
}

func TestOpenDirectInVain(t *testing.T) {
	s := newTheatre(t, config())
	c := s.client()
	s.worker("routed", 1)
	c.openFor(1, wire.Direct, 0, "echo", "")
	c.expectError(wire.UnknownService, wire.NeverStarted, "on the direct way", "--direct-bind")
	c.openFor(2, wire.Direct, 0, "nobody", "")
	c.expectError(wire.UnknownService, wire.NeverStarted, "offered: echo)")
	c.openFor(3, wire.Direct|wire.First|wire.Last, 0, "echo", "", "call")
	c.expectError(wire.BadFlag, wire.NeverStarted, "direct and first")
	require.Zero(t, s.broker.Inventory().Unoffered)
}

func TestTally(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.directWorker("w", 2)
	h := s.openedDirect(c, w, 1)
	h.worker(wire.Header{Type: wire.Tally, Seq: 5, Arg: 70})
	row := s.hitRow(t)
	require.Equal(t, "direct", row.Route)
	require.EqualValues(t, 5, row.Calls)
	require.EqualValues(t, 70, row.KiB)
	h.worker(wire.Header{Type: wire.Tally, Seq: 4, Arg: 70})
	w.expectError(wire.BadSeq, wire.NeverStarted, "goes back")
	h.worker(wire.Header{Type: wire.Tally, Seq: 6, Arg: 69})
	w.expectError(wire.BadSeq, wire.NeverStarted, "goes back")
	w.say(wire.Header{Type: wire.Tally, Hit: h.handle, Epoch: h.epoch + 1, Seq: 6, Arg: 71})
	w.expectError(wire.StaleEpoch, wire.NeverStarted)
	s.directWorker("thief", 1).steal(wire.Header{Type: wire.Tally, Hit: h.handle, Epoch: h.epoch, Seq: 6, Arg: 71})
	require.EqualValues(t, 5, s.hitRow(t).Calls)
	w.say(wire.Header{Type: wire.Tally, Hit: 99, Epoch: 1})
	w.expectError(wire.UnknownHit, wire.NeverStarted)

	s = newTheatre(t, config())
	routed := s.opened(s.client(), s.directWorker("w", 1), 1, 0)
	routed.worker(wire.Header{Type: wire.Tally, Seq: 1})
	routed.w.expectError(wire.BadType, wire.NeverStarted, "not direct")
}

// steal says something of a hit that is another worker's.
func (p *peer) steal(h wire.Header) {
	p.t.Helper()
	p.say(h)
	p.expectError(wire.NotOwner, wire.NeverStarted)
}

// hitRow is the listing of the oldest hit.
func (s *theatre) hitRow(t *testing.T) machine.HitRow {
	t.Helper()
	answer, _ := s.broker.Administer(s.now, machine.AdminRequest{Cmd: "hit.list"}, nil)
	return answer.(map[string]any)["hits"].([]machine.HitRow)[0]
}

func TestLease(t *testing.T) {
	s := newTheatre(t, config())
	w := s.directWorker("w", 1)
	w.say(wire.Header{Type: wire.Renew, Arg: 12})
	require.Equal(t, wire.Header{Type: wire.Grant, Arg: 12}, w.expect(wire.Grant).Header)
	routed := s.worker("routed", 1)
	routed.say(wire.Header{Type: wire.Renew})
	routed.expectError(wire.BadType, wire.NeverStarted, "no endpoint for direct hits")
	c := s.client()
	c.say(wire.Header{Type: wire.Renew})
	c.expectError(wire.UnknownHit, wire.NeverStarted)
}

// leased is a direct hit whose worker's lease has one more second.
func leased(t *testing.T) (*theatre, *session) {
	s := newTheatre(t, config())
	c, w := s.client(), s.directWorker("w", 2)
	h := s.openedDirect(c, w, 1)
	w.say(wire.Header{Type: wire.Renew})
	w.expect(wire.Grant)
	s.tick(time.Second)
	return s, h
}

func TestTheVerdictWaitsForTheLease(t *testing.T) {
	s, h := leased(t)
	routed := s.opened(h.c, h.w, 2, 0)
	h.w.vanish()
	m := h.c.expect(wire.Closed)
	require.Equal(t, routed.handle, m.Header.Hit, "nothing keeps a routed hit waiting")
	h.c.silent()
	s.tick(time.Second - 1)
	s.run()
	h.c.silent()
	s.tick(1)
	s.run()
	m = h.c.expect(wire.Closed)
	require.Equal(t, wire.Header{Type: wire.Closed, Status: wire.WorkerGone, Hit: h.handle, Epoch: 1, Arg: math.MaxUint32}, m.Header,
		"the broker does not know which calls have begun")
	require.Equal(t, "GONE", why(t, m).Verdict)
	require.Zero(t, s.broker.Inventory().Hits)
	require.Zero(t, s.broker.Deadline())
}

func TestWhoClosesNeedNotWaitForTheLease(t *testing.T) {
	s, h := leased(t)
	h.w.vanish()
	h.c.silent()
	h.client(wire.Header{Type: wire.Close})
	require.Equal(t, wire.WorkerGone, h.c.expect(wire.Closed).Header.Status)
	require.Zero(t, s.broker.Inventory().Hits)
	s.tick(time.Minute)
	s.run()
	h.c.silent()
}

func TestBothAreLost(t *testing.T) {
	s, h := leased(t)
	h.w.vanish()
	require.Equal(t, 1, s.broker.Inventory().Hits)
	h.c.vanish()
	require.Zero(t, s.broker.Inventory().Hits)
	s.tick(time.Minute)
	s.run()
}

func TestAWorkerWithoutALeaseIsLostAtOnce(t *testing.T) {
	s := newTheatre(t, config())
	h := s.openedDirect(s.client(), s.directWorker("w", 1), 1)
	h.w.vanish()
	require.Equal(t, wire.WorkerGone, h.c.expect(wire.Closed).Header.Status)
}

func TestKillOfADirectHit(t *testing.T) {
	s, h := leased(t)
	s.kill(h.handle)
	m := h.c.expect(wire.Closed)
	require.Equal(t, wire.Killed, m.Header.Status)
	require.EqualValues(t, math.MaxUint32, m.Header.Arg)
	h.w.expect(wire.Cancel)
	h.w.expect(wire.End)
}

func TestTheClientOfADirectHitIsLost(t *testing.T) {
	_, h := leased(t)
	h.c.vanish()
	h.w.expect(wire.Cancel)
	h.w.expect(wire.End)
}

func TestWhatBeganOfADirectHit(t *testing.T) {
	_, h := leased(t)
	h.worker(wire.Header{Type: wire.Ended, Status: wire.LeaseOver, Arg: 9}, "the lease was over")
	m := h.c.expect(wire.Closed)
	require.Equal(t, wire.LeaseOver, m.Header.Status)
	require.EqualValues(t, 9, m.Header.Arg, "the worker knows which calls have begun")
}
