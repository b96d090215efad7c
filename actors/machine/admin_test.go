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

// admin asks, and reads the REPORT.
func (p *peer) admin(request string, into any) {
	p.t.Helper()
	p.say(wire.Header{Type: wire.Admin, Arg: 7}, request)
	m := p.expect(wire.Report)
	require.Equal(p.t, wire.Header{Type: wire.Report, Arg: 7}, m.Header)
	require.NoError(p.t, json.Unmarshal(m.Frame(0), into))
}

func TestAdminOff(t *testing.T) {
	quote(t, "The broker MAY refuse ADMIN (`refused`).")
	cfg := config()
	cfg.Admin = false
	s := newTheatre(t, cfg)
	c := s.client()
	c.say(wire.Header{Type: wire.Admin}, `{"cmd":"status"}`)
	c.expectError(wire.Refused, wire.NeverStarted, "ADMIN is off", "--admin")
}

func TestBadAdmin(t *testing.T) {
	s := newTheatre(t, config())
	c := s.client()
	c.say(wire.Header{Type: wire.Admin}, `{`)
	c.expectError(wire.BadFrame, wire.NeverStarted, "cannot be read")
	for request, contains := range map[string]string{
		`{}`:                                 `unknown command ""`,
		`{"cmd":"hit.kil"}`:                  "status, hit.list, hit.kill, hit.alive, worker.list, worker.alive, why, drain, members, task.list, task.cancel, queue.list, queue.show, queue.remove, queue.clear, queue.move, queue.hold, queue.release, events and, by ADMIN only, tree are known",
		`{"cmd":"hit.kill","hit":"xyz"}`:     `no hit has the handle "xyz"`,
		`{"cmd":"hit.kill","hit":"1"}`:       `no hit has the handle "1"`,
		`{"cmd":"hit.list","after":"12345"}`: "start without it",
	} {
		var answer map[string]string
		c.admin(request, &answer)
		require.Contains(t, answer["error"], contains)
	}
}

func TestStatus(t *testing.T) {
	cfg := config()
	cfg.Counters = func() map[string]uint64 { return map[string]uint64{"messages": 9} }
	s := newTheatre(t, cfg)
	c, w := s.client(), s.worker("w", 2)
	s.opened(c, w, 1, 0)
	s.opened(c, w, 2, 0)
	c.open(3)
	both := s.peer()
	both.ready(wire.ReadyInfo{Name: "both", Services: []string{"zip", "also"}, Slots: 3, Busy: 1})
	var got machine.StatusReport
	c.admin(`{"cmd":"status"}`, &got)
	require.Equal(t, machine.StatusReport{
		Broker: "broker", Incarnation: "00c0ffee00c0ffee", UpMS: 60_000, Clients: 1, Workers: 2, Hits: 2,
		Services: []machine.ServiceRow{
			{Name: "also", Workers: 1, Slots: 3, Max: 3, Used: 1},
			{Name: "echo", Workers: 1, Slots: 2, Max: 2, Used: 2, Waiting: 1},
			{Name: "zip", Workers: 1, Slots: 3, Max: 3, Used: 1},
		}, Totals: machine.Totals{Opened: 2, Queued: 1}, Counters: map[string]uint64{"messages": 9},
	}, got)
}

func TestHitListInPages(t *testing.T) {
	cfg := config()
	cfg.ActorName = func(h uint64) string { return fmt.Sprintf("hits/%x", h) }
	s := newTheatre(t, cfg)
	c, w := s.client(), s.worker("w", 9)
	var all []*session
	for ref := range uint64(5) {
		all = append(all, s.opened(c, w, ref, 0))
	}
	all[1].call(1, 0)
	all[1].call(2, 0)
	all[1].reply(1, 0)
	s.tick(time.Second)

	type page struct {
		Hits  []machine.HitRow
		Total int
		More  bool
	}
	var first, rest page
	w.inbox, c.inbox = nil, nil
	c.admin(`{"cmd":"hit.list","limit":2}`, &first)
	require.Equal(t, 5, first.Total)
	require.True(t, first.More)
	require.Len(t, first.Hits, 2)
	handle := fmt.Sprintf("%x", all[1].handle)
	require.Equal(t, machine.HitRow{
		Hit: handle, Actor: "hits/" + handle, Service: "echo", State: "open", Worker: "w", Host: "here", PID: 4711, Thread: 4712,
		Calls: 2, Waiting: 1, AgeMS: 1000, Client: "somebody", Route: "routed",
	}, first.Hits[1])
	c.admin(fmt.Sprintf(`{"cmd":"hit.list","after":%q}`, handle), &rest)
	require.False(t, rest.More)
	require.Len(t, rest.Hits, 3)
	require.Equal(t, fmt.Sprintf("%x", all[2].handle), rest.Hits[0].Hit)
}

func TestAPageHasAThousandRowsAtMost(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1001)
	for ref := range uint64(1001) {
		c.open(ref)
	}
	w.inbox = nil
	for _, limit := range []int{0, -1, 5000} {
		answer, _ := s.broker.Administer(s.now, machine.AdminRequest{Cmd: "hit.list", Limit: limit}, nil)
		require.Len(t, answer.(map[string]any)["hits"], 1000)
	}
}

func TestWorkerList(t *testing.T) {
	s := newTheatre(t, config())
	c := s.client()
	s.worker("b", 2)
	a := s.peer()
	a.ready(wire.ReadyInfo{Name: "a", Services: []string{"x"}, Slots: 3, Busy: 2, Lang: "go", Threads: "pinned"})
	var got struct{ Workers []machine.WorkerRow }
	c.admin(`{"cmd":"worker.list"}`, &got)
	require.Equal(t, []machine.WorkerRow{
		{Name: "a", State: "serving", Lang: "go", Threads: "pinned", Services: []string{"x"}, Slots: 3, Max: 3, Used: 2, Limit: 3000},
		{Name: "b", State: "serving", Host: "here", PID: 4711, Services: []string{"echo"}, Slots: 2, Max: 2, Limit: 3000},
	}, got.Workers)
}

func TestKillByAdmin(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	h := s.opened(s.client(), w, 1, 0)
	var killed map[string]string
	c.admin(fmt.Sprintf(`{"cmd":"hit.kill","hit":"%x"}`, h.handle), &killed)
	require.Equal(t, map[string]string{"killed": fmt.Sprintf("%x", h.handle)}, killed)
	m := h.c.expect(wire.Closed)
	require.Contains(t, string(m.Frame(0)), "hit kill", "nobody said by whom")
}
