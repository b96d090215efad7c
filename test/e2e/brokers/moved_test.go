package brokers_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// drained has a broker drain by command, its peers being told of another one.
func (h *harbour) drained(t *testing.T, r machine.AdminRequest) (report machine.DrainReport) {
	t.Helper()
	ctx := rig.Context(t)
	r.Cmd = "drain"
	said, err := h.Client().Admin(ctx, r)
	require.NoError(t, err)
	require.NotContains(t, string(said), `"error"`)
	require.NoError(t, json.Unmarshal(said, &report))
	return report
}

// hit.md, section 6: "A broker that drains MAY say MOVED". A client that knows it alone opens its hits at the others from then on; those that are open
// stay, and go on.
func TestAClientGoesWhereItsBrokerSendsIt(t *testing.T) {
	callers(t, func(t *testing.T, dial dialer) {
		one, two := newHarbour(t, "one").open(t, 100), newHarbour(t, "two").open(t, 100)
		c := dial(endless, refs(one.Clients)...)
		c.awaits(one)
		require.Equal(t, map[string]int{"one": 3}, c.spread(3, 1))
		require.Equal(t, "one", one.drained(t, machine.AdminRequest{ClientsTo: []string{two.Clients}}).Draining)
		require.Equal(t, map[string]int{"two": 4}, c.spread(4, 2))
		require.Equal(t, map[string]int{"two": 5}, c.do(5))
		c.verify()
		late := dial(endless, refs(one.Clients)...) // which hears of it when it comes
		late.awaits(one)
		require.Equal(t, map[string]int{"two": 2}, late.spread(2, 1))
		late.release()
		c.release()
	})
}

// What is under way at the old broker ends there: a hit whose session is just being opened, and a call that runs. Nothing is asked for twice.
func TestWhatIsUnderWayStays(t *testing.T) {
	one, two, ctx := newHarbour(t, "one").start(t), newHarbour(t, "two").open(t, 10), rig.Context(t)
	begun, goOn := make(chan string, 8), make(chan struct{})
	wait := func(what string) { begun <- what; <-goOn }
	one.Worker(rig.Services{
		"berth": {Open: func(context.Context, *assigner.Opening) (assigner.Session, error) {
			wait("open")
			return berthed{}, nil
		}},
		"name": {Handler: func(context.Context, *assigner.Call) ([]byte, error) { wait("call"); return []byte("one"), nil }},
	}, rig.Named("one"), rig.Slots(4))
	c := one.Client()
	opened, replied := make(chan *assigner.Hit, 1), make(chan string, 1)
	go func() {
		h, _ := c.Open(ctx, "berth")
		opened <- h
	}()
	go func() {
		reply, _ := c.Do(ctx, "name", nil)
		replied <- string(reply)
	}()
	require.ElementsMatch(t, []string{"open", "call"}, []string{rig.Receive(t, begun, "the first"), rig.Receive(t, begun, "the second")})
	require.Equal(t, 2, one.drained(t, machine.AdminRequest{ClientsTo: []string{two.Clients}}).Hits)
	name, err := c.Do(ctx, "name", nil)
	require.NoError(t, err)
	require.Equal(t, "two", string(name), "the client has gone there")
	close(goOn)
	h := rig.Receive(t, opened, "the hit")
	require.NotNil(t, h)
	require.Equal(t, "one", h.Worker())
	require.Equal(t, "one", rig.Receive(t, replied, "the reply"))
	require.EqualValues(t, 1, two.status(t, ctx).Totals.Opened, "one call only was made there")
	require.Empty(t, begun, "and nothing twice here")
	require.NoError(t, h.Close(ctx))
}

// berthed is a session that does nothing.
type berthed struct{}

func (berthed) Call(context.Context, *assigner.Call) ([]byte, error) { return nil, nil }
func (berthed) Close() error                                         { return nil }

// A chain of brokers is followed, and a worker with hits goes when they have ended.
func TestAWorkerGoesWhereItsBrokerSendsIt(t *testing.T) {
	workers(t, func(t *testing.T, spawn func(*testing.T, crewConfig) shared) {
		ctx := rig.Context(t)
		all := quay(t)
		w := spawn(t, crewConfig{Brokers: []string{all[0].Workers}, Name: "nomad", Slots: 4})
		client := all[0].Client()
		held := open(t, ctx, client)
		require.Equal(t, 1, all[0].drained(t, machine.AdminRequest{WorkersTo: []string{all[1].Workers}}).Hits)
		_, err := answered(ctx, held, "goes-on")
		require.NoError(t, err)
		require.NoError(t, held.Close(ctx))
		held = open(t, ctx, all[1].Client()) // which waits for the worker
		require.Equal(t, "nomad", held.Worker())
		rig.Until(t, "the first broker has no worker", func() bool { return len(all[0].workers(t, ctx)) == 0 })
		// Another broker sends this worker alone elsewhere, which is busy with a hit.
		require.Equal(t, 1, all[1].drained(t, machine.AdminRequest{About: "nomad", WorkersTo: []string{all[2].Workers}}).Hits)
		_, err = answered(ctx, held, "goes-on")
		require.NoError(t, err)
		require.NoError(t, held.Close(ctx))
		require.Equal(t, "nomad", open(t, ctx, all[2].Client()).Worker())
		w.told(t)
		// A worker that comes to a broker that drains is sent on at once.
		spawn(t, crewConfig{Brokers: []string{all[0].Workers}, Name: "late", Slots: 4})
		rig.Until(t, "the second broker has the late one", func() bool {
			for _, row := range all[1].workers(t, ctx) {
				if row.Name == "late" {
					return true
				}
			}
			return false
		})
	})
}

// What a broker says of others is judged: where nobody can be is passed over, and said, and nothing is worse than before.
func TestAMoveToNowhere(t *testing.T) {
	one := newHarbour(t, "one").open(t, 10)
	for _, r := range []machine.AdminRequest{
		{Cmd: "drain", WorkersTo: []string{""}},
		{Cmd: "drain", ClientsTo: make([]string, 17)},
		{Cmd: "drain", About: "one", ClientsTo: []string{"tcp://127.0.0.1:9"}},
	} {
		said, err := one.Client().Admin(rig.Context(t), r)
		require.NoError(t, err)
		require.Contains(t, string(said), `"error"`)
	}
	c := goCaller(t, usual, refs(one.Clients)...)
	require.Equal(t, map[string]int{"one": 1}, c.spread(1, 1), "nothing drains yet")
	one.drained(t, machine.AdminRequest{About: "one", WorkersTo: []string{"nonsense", one.Workers}})
	c.verify()
	c.release()
}
