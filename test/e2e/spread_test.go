package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// Who serves whom, and what a hit is opened with.

// TestOneBrokerOnManyEndpoints: clients and workers of all transports meet.
func TestOneBrokerOnManyEndpoints(t *testing.T) {
	ctx := rig.Context(t)
	sites := make(map[string]*rig.Site)
	var clients, workers []string
	for _, transport := range []string{"tcp", "ipc", "inproc"} {
		s := rig.NewSite(t, rig.Path{Transport: transport})
		sites[transport] = s
		clients, workers = append(clients, s.Clients), append(workers, s.Workers)
	}
	b := sites["tcp"].Broker(func(c *assigner.BrokerConfig) { c.Clients, c.Workers = clients, workers })
	require.Equal(t, clients, b.ClientEndpoints())
	require.Equal(t, workers, b.WorkerEndpoints())
	for transport, s := range sites {
		w := s.Worker(rig.Services{"on-" + transport: echo}, rig.Named(transport))
		rig.Receive(t, w.Welcomed(), "the worker's welcome")
	}
	for from, s := range sites {
		c := s.Client()
		for to := range sites {
			h := open(t, ctx, c, "on-"+to)
			require.Equal(t, to, h.Worker())
			requireReply(t, ctx, h, from, from)
			require.NoError(t, h.Close(ctx))
		}
	}
}

// TestTheLeastBusyWorkerServes: hits spread over workers by how busy they are, whatever their sizes.
func TestTheLeastBusyWorkerServes(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker()
	sizes := map[string]int{"small": 2, "large": 6}
	for name, slots := range sizes {
		w := site.Worker(rig.Services{"echo": echo}, rig.Named(name), rig.Slots(slots))
		rig.Receive(t, w.Welcomed(), "the worker's welcome")
	}
	c := site.Client()
	used := make(map[string]int)
	for range 8 {
		used[open(t, ctx, c, "echo").Worker()]++
		share := func(name string) float64 { return float64(used[name]) / float64(sizes[name]) }
		require.InDelta(t, share("small"), share("large"), 0.5, "%v", used)
	}
	require.Equal(t, sizes, used, "all slots are in use")
}

// TestAServiceHasItsOwnPolicy: one service is spread in turn, the others by how busy workers are.
func TestAServiceHasItsOwnPolicy(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker(func(c *assigner.BrokerConfig) {
		c.Policies = map[string]assigner.Policy{"inturn": assigner.RoundRobin}
	})
	for name, slots := range map[string]int{"small": 8, "large": 80} {
		w := site.Worker(rig.Services{"inturn": echo, "echo": echo}, rig.Named(name), rig.Slots(slots))
		rig.Receive(t, w.Welcomed(), "the worker's welcome")
	}
	c := site.Client()
	used := make(map[string]int)
	for range 6 {
		used[open(t, ctx, c, "inturn").Worker()]++
	}
	require.Equal(t, map[string]int{"small": 3, "large": 3}, used)
	for range 20 {
		require.Equal(t, "large", open(t, ctx, c, "echo").Worker(), "3/8 of the small one's slots are taken, and at most 23/80 of the other's")
	}
	_, err := assigner.NewBroker(assigner.BrokerConfig{Policies: map[string]assigner.Policy{assigner.AnyService: "fastest"}})
	require.ErrorContains(t, err, `Policies of service "*": no policy is named "fastest"`)
}

// TestWhatAHitIsOpenedWith: the session option reaches the service, the label the listing.
func TestWhatAHitIsOpenedWith(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		site.Broker()
		given := make(chan string, 1)
		site.Worker(rig.Services{"curious": {Open: func(_ context.Context, o *assigner.Opening) (assigner.Session, error) {
			given <- fmt.Sprintf("%s %s %x", o.Service, o.Session, o.Hit)
			return &page{newDiary(), o.Hit}, nil
		}}})
		c := site.Client()
		for _, try := range []struct {
			session any
			want    string
		}{
			{nil, ""},
			{map[string]int{"n": 7}, `{"n":7}`},
			{"text", `"text"`},
			{json.RawMessage(`[1, 2]`), `[1,2]`},
		} {
			h, err := c.OpenWith(ctx, assigner.OpenRequest{Service: "curious", Session: try.session, Label: "who asks"})
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("curious %s %x", try.want, h.Handle()), rig.Receive(t, given, "the opening"))
			require.Equal(t, "who asks", row(t, ctx, c, h).Label)
			require.NoError(t, h.Close(ctx))
		}
	})
}

// TestTheListingTellsTheTruth: hit, worker, process, thread and calls.
func TestTheListingTellsTheTruth(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker()
	p := workerProcess(t, site, "other process", 2)
	c := site.Client(func(c *assigner.ClientConfig) { c.Name = "the asker" })
	h := open(t, ctx, c, "echo")
	for range 3 {
		requireReply(t, ctx, h, "x", "x")
	}
	r := row(t, ctx, c, h)
	require.Equal(t, "echo", r.Service)
	require.Equal(t, "open", r.State)
	require.Equal(t, "other process", r.Worker)
	require.Equal(t, p.PID(), r.PID)
	require.EqualValues(t, h.Thread(), r.Thread)
	require.EqualValues(t, 3, r.Calls)
	require.Equal(t, "the asker", r.Client)
	require.DirExists(t, fmt.Sprintf("/proc/%d/task/%d", p.PID(), r.Thread), "the kernel knows the thread")
}
