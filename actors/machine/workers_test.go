package machine_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestWelcomeOfAWorker(t *testing.T) {
	quote(t, "`name` is the peer's name as the broker knows it.")
	s := newTheatre(t, config())
	for _, worker := range []struct {
		info wire.ReadyInfo
		name string
	}{
		{wire.ReadyInfo{Name: "w", Window: 20_000}, "w"},
		{wire.ReadyInfo{Host: "here", PID: 12}, "here-12"},
		{wire.ReadyInfo{Host: "here"}, "worker-2"},
	} {
		p := s.peer()
		worker.info.Services, worker.info.Slots = []string{"echo"}, 1
		p.ready(worker.info)
		var got wire.WelcomeInfo
		require.NoError(t, json.Unmarshal(p.expect(wire.Welcome).Frame(0), &got))
		want := wire.WelcomeInfo{Broker: "broker", Incarnation: "00c0ffee00c0ffee", MaxBody: 1 << 20, Window: 4 << 20, HeartbeatMS: 1000, Name: worker.name, LeaseMS: 2000}
		if worker.info.Window > 0 {
			want.Window = worker.info.Window
		}
		require.Equal(t, want, got)
	}
}

func TestReadyAgainChangesNothing(t *testing.T) {
	quote(t, "A READY from a connection that is registered already changes nothing and is answered by WELCOME.")
	s := newTheatre(t, config())
	p := s.peer()
	info := wire.ReadyInfo{Name: "w", Services: []string{"echo"}, Slots: 1}
	body, err := json.Marshal(info)
	require.NoError(t, err)
	p.whisper(wire.Header{Type: wire.Ready}, string(body))
	info.Name, info.Slots = "other", 5
	body, err = json.Marshal(info)
	require.NoError(t, err)
	p.whisper(wire.Header{Type: wire.Ready}, string(body)) // before the worker's actor is there
	s.run()
	p.say(wire.Header{Type: wire.Ready}, string(body)) // and after
	first := p.expect(wire.Welcome).Frame(0)
	require.Contains(t, string(first), `"w"`)
	require.Equal(t, first, p.expect(wire.Welcome).Frame(0))
	require.Equal(t, first, p.expect(wire.Welcome).Frame(0))
	require.Equal(t, machine.Inventory{Workers: 1, Names: 1}, s.broker.Inventory())
	require.Equal(t, 1, s.broker.AllWorkers()[0].Load.Slots)
}

func TestBadReadies(t *testing.T) {
	quote(t, "At most 1,024 services per worker are possible.")
	s := newTheatre(t, config())
	var many []string
	for i := range 1025 {
		many = append(many, fmt.Sprint("s", i))
	}
	for contains, info := range map[string]wire.ReadyInfo{
		"services is empty":                 {Slots: 1},
		"slots is 0":                        {Services: []string{"a"}},
		"busy is 3 of 2 slots":              {Services: []string{"a"}, Slots: 2, Busy: 3},
		"1025 names: at most 1024":          {Services: many, Slots: 1},
		"slots_max is 1 with 2 slots":       {Services: []string{"a"}, Slots: 2, SlotsMax: 1},
		"only printable ASCII without blan": {Services: []string{"a b"}, Slots: 1},
	} {
		p := s.peer()
		p.ready(info)
		p.expectError(wire.BadFrame, wire.NeverStarted, contains)
	}
	require.Equal(t, 6, s.counts[wire.BadFrame])
	require.Zero(t, s.broker.Inventory())
	s.peer().ready(wire.ReadyInfo{Services: many[:1024], Slots: 1})
	require.Equal(t, 1, s.broker.Inventory().Workers)
}

func TestAServiceNamedTwiceCountsOnce(t *testing.T) {
	s := newTheatre(t, config())
	p := s.peer()
	p.ready(wire.ReadyInfo{Name: "w", Services: []string{"echo", "echo"}, Slots: 2})
	require.Equal(t, []machine.ServiceRow{{Name: "echo", Workers: 1, Slots: 2, Max: 2}}, s.broker.Status(s.now).Services)
}

func TestBusySlots(t *testing.T) {
	quote(t, "`busy` counts slots still held by hits of an earlier connection; an ENDED with hit 0 frees one of them, and one too many is refused (`bad-seq`).")
	s := newTheatre(t, config())
	c, w := s.client(), s.peer()
	w.ready(wire.ReadyInfo{Name: "w", Services: []string{"echo"}, Slots: 2, Busy: 1})
	w.expect(wire.Welcome)
	c.open(1)
	c.open(2)
	w.expect(wire.Begin)
	w.silent()
	w.say(wire.Header{Type: wire.Ended})
	w.expect(wire.Begin)
	w.say(wire.Header{Type: wire.Ended})
	w.expectError(wire.BadSeq, wire.NeverStarted, "no slot of an earlier connection is busy", "name in READY")
	require.Equal(t, 2, s.used(), "the two hits")
}

// What a worker says right behind READY is heard by its actor, when that is there.
func TestAWorkerDoesNotWaitForWelcome(t *testing.T) {
	quote(t, "A peer MAY send more at once, without waiting for WELCOME.")
	s := newTheatre(t, config())
	c, w := s.client(), s.peer()
	w.whisper(wire.Header{Type: wire.Ready}, `{"name":"w","services":["echo"],"slots":1,"busy":1}`)
	w.whisper(wire.Header{Type: wire.Ended})
	w.whisper(wire.Header{Type: wire.Pong})
	s.run()
	c.open(1)
	w.expect(wire.Welcome)
	w.expect(wire.Begin)

	v := s.peer()
	v.whisper(wire.Header{Type: wire.Ready}, `{"name":"v","services":["echo"],"slots":1}`)
	v.whisper(wire.Header{Type: wire.Bye})
	s.run()
	v.expect(wire.Welcome)
	c.open(2)
	v.silent()
	require.Equal(t, 1, s.broker.Inventory().Queued)
}

func TestWhatNobodyKnowsOfIsAnswered(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	for _, typ := range []wire.Type{wire.Opened, wire.Reply, wire.Working} {
		w.say(wire.Header{Type: typ, Hit: 4711}, map[wire.Type][]string{wire.Reply: {"x"}}[typ]...)
		w.expectError(wire.UnknownHit, wire.NeverStarted, typ.String(), "hit 1267", "over or never was")
	}
	w.say(wire.Header{Type: wire.Ended, Hit: 4711})
	w.silent()
	require.Equal(t, 4, s.counts[wire.UnknownHit])

	c.say(wire.Header{Type: wire.Call, Hit: 4711, Seq: 1}, "x")
	c.expectError(wire.UnknownHit, wire.NeverStarted, "open another one")
	c.say(wire.Header{Type: wire.Cancel, Hit: 4711})
	c.say(wire.Header{Type: wire.Close, Flags: wire.Ref, Hit: 4711})
	c.say(wire.Header{Type: wire.Pong})
	c.silent()

	refused := s.peer() // registered at the bridge, not here
	refused.say(wire.Header{Type: wire.Ready}, "{}")
	refused.expectError(wire.BadFrame, wire.NeverStarted)
	refused.say(wire.Header{Type: wire.Ended})
	refused.say(wire.Header{Type: wire.Bye})
	refused.say(wire.Header{Type: wire.Pong})
	refused.silent()
	refused.say(wire.Header{Type: wire.Reply, Hit: 1, Seq: 1}, "x")
	refused.expectError(wire.UnknownHit, wire.NeverStarted)
}

func TestByeOfAWorker(t *testing.T) {
	quote(t, "BYE from a worker: it takes no new hits; the open ones go on.")
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 2)
	h := s.opened(c, w, 1, 0)
	w.say(wire.Header{Type: wire.Bye})
	w.say(wire.Header{Type: wire.Bye})
	c.open(2)
	w.silent()
	h.call(1, 0)
	w.expect(wire.Call)
	h.reply(1, 0)
	c.expect(wire.Reply)
	require.Equal(t, "leaving", s.workerRow(t).State)
	require.Equal(t, 1, s.workerRow(t).Used)
	h.client(wire.Header{Type: wire.Close})
	w.expect(wire.End)
	h.worker(wire.Header{Type: wire.Ended})
	c.expect(wire.Closed)
	w.silent() // its free slot is nobody's
	require.Equal(t, 1, s.broker.Inventory().Queued)
	require.Zero(t, s.workerRow(t).Used)
	w.vanish()
	require.Zero(t, s.broker.Status(s.now).Totals.Lost, "who has left is not lost")

	next := s.worker("w", 1)
	next.expect(wire.Begin)
}

// The broker has given out a slot when it hears BYE: the hit goes on like any other.
func TestABeginThatCrossesBye(t *testing.T) {
	quote(t, "A BEGIN that crosses its BYE is served as well.")
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	c.whisper(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 1}, "echo", "")
	w.whisper(wire.Header{Type: wire.Bye})
	s.run()
	m := w.expect(wire.Begin)
	h := &session{c, w, m.Header.Hit, m.Header.Epoch, 1}
	h.worker(wire.Header{Type: wire.Opened})
	c.expect(wire.Opened)
	h.call(1, 0)
	w.expect(wire.Call)
	require.Equal(t, "leaving", s.workerRow(t).State)
}

func (s *theatre) workerRow(t *testing.T) machine.WorkerRow {
	t.Helper()
	answer, _ := s.broker.Administer(s.now, machine.AdminRequest{Cmd: "worker.list"}, nil)
	rows := answer.(map[string]any)["workers"].([]machine.WorkerRow)
	require.Len(t, rows, 1)
	return rows[0]
}

func TestADeafWorkerGetsNoMoreHits(t *testing.T) {
	quote(t, "It then gets no new hits until it has ended one")
	s := newTheatre(t, config())
	c, deaf := s.client(), s.worker("deaf", 3)
	h := s.opened(c, deaf, 1, 0)
	deaf.slow = true
	c.open(2)
	c.expectError(wire.PeerSlow, wire.NeverStarted)
	c.open(3) // waits, instead of failing as well
	c.silent()
	s.worker("fine", 1).expect(wire.Begin)
	c.open(4)
	c.silent()
	deaf.slow = false
	h.client(wire.Header{Type: wire.Close})
	h.worker(wire.Header{Type: wire.Ended})
	deaf.expect(wire.End)
	deaf.expect(wire.Begin)
	c.expect(wire.Closed)
	c.silent()
}

// Hits that meet a worker whose loss is just being reported do not use up those that wait.
func TestAWorkerAboutToBeReportedLost(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	h := s.opened(c, w, 1, 0)
	c.open(2)
	c.open(3)
	n := s.workerNode(h.of())
	w.whisper(wire.Header{Type: wire.Ended, Hit: h.handle, Epoch: h.epoch})
	s.lose(w.link, "disconnected", "x")
	loss := n.box
	n.box = nil // the news are slow
	s.run()
	n.box = loss
	c.expect(wire.Closed)
	require.Equal(t, uint64(2), c.expectError(wire.WorkerGone, wire.NeverStarted).Header.Hit)
	s.run()
	c.silent()
	s.worker("v", 1).expect(wire.Begin)
}
