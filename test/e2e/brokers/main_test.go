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
}

// newHarbour finds a place for a broker; open starts it, with a worker in this process that has the broker's name.
func newHarbour(t *testing.T, name string) *harbour { return &harbour{Site: rig.NewSite(t, rig.TCP), name: name} }

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
	h.broker = h.BrokerProcess(func(c *assigner.BrokerConfig) { c.Name = h.name })
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

// status asks the broker.
func (h *harbour) status(t *testing.T, ctx context.Context) machine.StatusReport {
	t.Helper()
	answer, err := h.Client().Admin(ctx, machine.AdminRequest{Cmd: "status"})
	require.NoError(t, err)
	var s machine.StatusReport
	require.NoError(t, json.Unmarshal(answer, &s))
	return s
}
