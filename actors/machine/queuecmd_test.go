package machine_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

type queuePage struct {
	Queues         []machine.QueueRow
	Items          []machine.ItemRow
	More           bool
	After, Error   string
	Removed, Moved int
	Would          int
	NoRoom         int `json:"no_room"`
	Held, Released string
}

func (s *theatre) ask(request string) (p queuePage) {
	s.t.Helper()
	c := s.client()
	c.say(wire.Header{Type: wire.Admin, Arg: 5}, request)
	for range 10_000 { // what is done in several turns
		if len(c.inbox) > 0 {
			break
		}
		s.tick(time.Microsecond)
		s.run()
	}
	m := c.expect(wire.Report)
	require.NoError(s.t, json.Unmarshal(m.Frame(0), &p))
	return p
}

// wait lets tasks wait, one second apart: topics a, b, a, b, ...
func (s *theatre) waitingTasks(c *peer, n int) {
	for i := range n {
		c.openFor(uint64(100+i), oneShot, 0, "echo", fmt.Sprintf(`{"label":"%c"}`, 'a'+i%2), "x")
		s.tick(time.Second)
	}
}

func queueConfig() machine.BrokerConfig {
	cfg := taskConfig()
	cfg.MaxQueue, cfg.MaxWait = 5000, time.Hour
	return cfg
}

func TestQueuesAreLookedInto(t *testing.T) {
	s := newTheatre(t, queueConfig())
	c, w := s.client(), s.worker("w", 1)
	c.openFor(1, oneShot, 0, "echo", "", "x")
	s.waitingTasks(c, 4)
	c.aim(2, `"where":"gpu"`)
	p := s.ask(`{"cmd":"queue.list"}`)
	require.Len(t, p.Queues, 2)
	q := p.Queues[0]
	require.Equal(t, []any{"echo", "", 4, 1, map[string]int{"a": 2, "b": 2}, int64(4000)}, []any{q.Service, q.For, q.Waiting, q.Workers, q.Topics, q.OldestMS})
	require.Equal(t, []any{"gpu", 1, 0}, []any{p.Queues[1].For, p.Queues[1].Waiting, p.Queues[1].Workers})
	p = s.ask(`{"cmd":"queue.show","service":"echo","limit":3}`)
	require.True(t, p.More)
	require.Len(t, p.Items, 3)
	require.Equal(t, []any{"a", "somebody", int64(4000)}, []any{p.Items[0].Topic, p.Items[0].Client, p.Items[0].AgeMS})
	p = s.ask(`{"cmd":"queue.show","service":"echo","after":"` + p.After + `"}`)
	require.False(t, p.More)
	require.Len(t, p.Items, 2)
	require.Equal(t, "gpu", p.Items[1].For)
	require.Len(t, s.ask(`{"cmd":"queue.show","service":"echo","topic":"b"}`).Items, 2)
	require.Len(t, s.ask(`{"cmd":"queue.show","service":"echo","older_ms":2500}`).Items, 2)
	require.Len(t, s.ask(`{"cmd":"queue.show","service":"echo","for":"gpu"}`).Items, 1)
	w.serve()
	w.serve()
	require.Equal(t, map[string]int{"a": 1, "b": 1}, s.ask(`{"cmd":"queue.list","service":"echo"}`).Queues[0].Topics, "what is under way does not wait")
}

func TestWhatIsRemovedIsTold(t *testing.T) {
	s := newTheatre(t, queueConfig())
	c := s.client()
	w := s.worker("w", 1)
	c.openFor(1, oneShot, 0, "echo", "", "x")
	s.waitingTasks(c, 6)
	items := s.ask(`{"cmd":"queue.show","service":"echo"}`).Items
	require.Equal(t, 1, s.ask(`{"cmd":"queue.remove","service":"echo","id":"`+items[2].ID+`","by":"ann"}`).Removed)
	m := c.expectError(wire.Killed, wire.NeverStarted, "removed from the queue by ann", "submit it again")
	require.EqualValues(t, 102, m.Header.Hit)
	require.Contains(t, s.ask(`{"cmd":"queue.remove","service":"echo","id":"`+items[2].ID+`"}`).Error, "nothing with the id")
	require.Equal(t, 2, s.ask(`{"cmd":"queue.clear","service":"echo","topic":"a","older_ms":1500,"dry_run":true}`).Would)
	c.silent()
	require.Equal(t, 3, s.ask(`{"cmd":"queue.clear","service":"echo","topic":"b"}`).Removed)
	for range 3 {
		c.expectError(wire.Killed, wire.NeverStarted)
	}
	for range 3 {
		w.serve()
		c.expect(wire.Reply)
	}
	w.silent()
	for want, bad := range map[string]string{
		"older_ms is -1":         `"queue.clear","service":"echo","older_ms":-1`,
		"service is empty":       `"queue.clear"`,
		`no worker has offered`:  `"queue.show","service":"nobody"`,
		"nobody waits for":       `"queue.show","service":"echo","for":"gpu"`,
		`id is "xyz"`:            `"queue.remove","service":"echo","id":"xyz"`,
		`after: "zz"`:            `"queue.show","service":"echo","after":"zz"`,
		"name another service":   `"queue.move","service":"echo","to":"echo"`,
		"before anything is mov": `"queue.move","service":"echo","to":"nobody"`,
		"not held already":       `"queue.release","service":"echo"`,
	} {
		require.Contains(t, s.ask(`{"cmd":`+bad+`}`).Error, want)
	}
}

func TestServicesAreHeld(t *testing.T) {
	s := newTheatre(t, queueConfig())
	c, w := s.client(), s.worker("w", 2)
	require.Equal(t, "echo", s.ask(`{"cmd":"queue.hold","service":"echo"}`).Held)
	c.openFor(1, oneShot, 0, "echo", "", "x")
	c.aim(2, `"worker":"w"`)
	w.silent()
	c.openFor(3, oneShot|wire.Now, 0, "echo", "", "x")
	c.expectError(wire.QueueFull, wire.NeverStarted, "held by an operator")
	require.True(t, s.ask(`{"cmd":"queue.list"}`).Queues[0].Held)
	require.Contains(t, s.ask(`{"cmd":"queue.hold","service":"echo"}`).Error, "held already")
	c.openFor(4, oneShot, 1000, "echo", "", "x")
	s.tick(time.Second)
	c.expectError(wire.Expired, wire.NeverStarted, "held by an operator")
	require.Equal(t, "echo", s.ask(`{"cmd":"queue.release","service":"echo"}`).Released)
	w.serve()
	w.serve()
	c.expect(wire.Reply)
	c.expect(wire.Reply)
}

func TestAServiceWaitsForItsWorkers(t *testing.T) {
	cfg := queueConfig()
	cfg.MinWorkers = func(string) int { return 2 }
	s := newTheatre(t, cfg)
	c, w1 := s.client(), s.worker("w1", 1)
	for ref := range uint64(3) {
		c.openFor(ref+1, oneShot, 0, "echo", "", "x")
	}
	w1.silent()
	require.Equal(t, 2, s.ask(`{"cmd":"queue.list"}`).Queues[0].Wants)
	w2 := s.worker("w2", 1)
	w1.serve()
	w2.serve()
	s.vanishWith(w2) // what is under way goes on, nothing more is given out
	require.Len(t, w1.inbox, 1)
	w1.serve()
	c.openFor(9, oneShot, 0, "echo", "", "x")
	w1.silent()
}

func TestTasksAreMoved(t *testing.T) {
	s := newTheatre(t, queueConfig())
	c, w := s.client(), s.worker("w", 1)
	other := s.peer()
	other.ready(wire.ReadyInfo{Name: "other", Services: []string{"spare"}, Slots: 1})
	other.expect(wire.Welcome)
	c.openFor(1, oneShot, 0, "echo", "", "x")
	s.waitingTasks(c, 3)
	c.submit(50, `"id":"known","keep_ms":60000`)
	require.Equal(t, 4, s.ask(`{"cmd":"queue.move","service":"echo","to":"spare"}`).Moved)
	for i := range 4 {
		m := other.serve()
		require.Equal(t, "spare", string(m.Frame(0)), "the worker is asked for a service that it offers")
		require.Equal(t, "x", string(m.Frame(2)), i)
	}
	for range 4 {
		c.expect(wire.Reply)
	}
	c.openFor(51, oneShot, 0, "spare", `{"task":{"id":"known","attach":true}}`, "")
	c.expect(wire.Reply)
	w.serve()
	c.expect(wire.Reply)
	w.silent()
}

// Many are taken out over several turns: what is given out or comes meanwhile is not harmed.
func TestAClearedQueueIsClearedInTurns(t *testing.T) {
	s := newTheatre(t, queueConfig())
	c, w := s.client(), s.worker("w", 1)
	c.openFor(1, oneShot, 0, "echo", "", "x")
	for i := range 4500 {
		c.openFor(uint64(100+i), oneShot, 0, "echo", "", "x")
	}
	asker := s.client()
	asker.say(wire.Header{Type: wire.Admin, Arg: 5}, `{"cmd":"queue.clear","service":"echo"}`)
	asker.silent()
	c.openFor(9999, oneShot, 0, "echo", "", "x") // too late to be cleared
	w.serve()                                    // gives out the next one
	require.EqualValues(t, 4500-250-1+1, s.broker.Inventory().Queued)
	for range 100 {
		s.tick(time.Microsecond)
		s.run()
	}
	m := asker.expect(wire.Report)
	require.JSONEq(t, `{"removed":4499}`, string(m.Frame(0)))
	require.Equal(t, 1, s.broker.Inventory().Queued)
	w.serve()
	require.EqualValues(t, 9999, func() uint64 { w.expect(wire.Begin); return 9999 }())
}

// What only counts takes turns, too, and changes nothing.
func TestAQueueIsCountedInTurns(t *testing.T) {
	cfg := queueConfig()
	cfg.MaxQueue = 10_000
	s := newTheatre(t, cfg)
	c := s.client()
	s.worker("w", 1)
	for i := range 6001 {
		c.openFor(uint64(100+i), oneShot, 0, "echo", "", "x")
	}
	asker := s.client()
	asker.say(wire.Header{Type: wire.Admin, Arg: 5}, `{"cmd":"queue.clear","service":"echo","dry_run":true}`)
	asker.silent()
	for range 10 {
		s.tick(time.Microsecond)
		s.run()
	}
	require.JSONEq(t, `{"would":6000}`, string(asker.expect(wire.Report).Frame(0)))
	require.Equal(t, 6000, s.broker.Inventory().Queued)
}

// What has lost the worker of its key goes back to the queue of all, and stays there while that is held.
func TestAHeldQueueKeepsWhatHasLostItsWorker(t *testing.T) {
	s := newTheatre(t, queueConfig())
	c, w := s.client(), s.worker("w", 1)
	c.aim(1, `"key":"k"`)
	w.serve()
	c.expect(wire.Reply)
	s.opened(c, w, 2, 0)
	c.aim(3, `"key":"k"`)
	var r map[string]any
	c.admin(`{"cmd":"queue.hold","service":"echo"}`, &r)
	other := s.worker("other", 1)
	s.vanishWith(w)
	c.expect(wire.Closed)
	other.silent()
	c.admin(`{"cmd":"queue.release","service":"echo"}`, &r)
	other.serve()
	require.EqualValues(t, 3, c.expect(wire.Reply).Header.Hit)
}
