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

func TestMain(m *testing.M) {
	rig.Main(m, map[string]rig.Role{"broker": rig.BrokerRole, "worker": workerRole})
}

// harbour is a broker in a process of its own, and where it is found.
type harbour struct {
	*rig.Site
	name   string
	broker *rig.Process // nil: it is not there
	admin  *assigner.Client
}

// newHarbour finds a place for a broker; open starts it, with a worker in this process that has the broker's name.
func newHarbour(t *testing.T, name string) *harbour {
	return &harbour{Site: rig.NewSite(t, rig.TCP), name: name}
}

func (h *harbour) open(t *testing.T, slots int) *harbour {
	t.Helper()
	h.start(t)
	services := rig.Services{"berth": newCrew().service(), "name": {Handler: func(context.Context, *assigner.Call) ([]byte, error) { return []byte(h.name), nil }}}
	w := h.Worker(services, rig.Named(h.name), rig.Slots(slots))
	rig.Receive(t, w.Welcomed(), "the welcome of "+h.name)
	return h
}

func (h *harbour) start(t *testing.T) *harbour {
	t.Helper()
	h.broker = h.BrokerAlone(func(c *assigner.BrokerConfig) { c.Name = h.name })
	return h
}

// urls are the endpoints for clients.
func urls(all []*harbour) (at []string) {
	for _, h := range all {
		at = append(at, h.Clients)
	}
	return at
}

// workersAt are the endpoints for workers.
func workersAt(all []*harbour) (at []string) {
	for _, h := range all {
		at = append(at, h.Workers)
	}
	return at
}

// ask asks the broker with ADMIN.
func (h *harbour) ask(t *testing.T, ctx context.Context, command string, into any) {
	t.Helper()
	if h.admin == nil {
		h.admin = h.Client()
	}
	answer, err := h.admin.Admin(ctx, machine.AdminRequest{Cmd: command})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(answer, into))
}

func (h *harbour) status(t *testing.T, ctx context.Context) (s machine.StatusReport) {
	t.Helper()
	h.ask(t, ctx, "status", &s)
	return s
}

func (h *harbour) workers(t *testing.T, ctx context.Context) []machine.WorkerRow {
	t.Helper()
	var list struct{ Workers []machine.WorkerRow }
	h.ask(t, ctx, "worker.list", &list)
	return list.Workers
}
