package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

func TestMain(m *testing.M) {
	rig.Main(m, map[string]rig.Role{"broker": rig.BrokerRole, "worker": workerRole, "client": clientRole, "unprivileged": unprivilegedRole})
}

// workerConfig is what a worker process is told.
type workerConfig struct {
	Broker, Name string
	Slots        int
	Journal      string // of the service count, see ledger; empty: there is none
}

// workerRole runs a worker with the services echo and hold. "free KEY" lets the held call with that key go, and frees stay for calls to come.
func workerRole(ctx context.Context, stage *rig.Stage) error {
	var c workerConfig
	if err := stage.Config(&c); err != nil {
		return err
	}
	h := newHold()
	h.entered = func(key string) { stage.Say("holds %s", key) }
	services := rig.Services{"echo": echo, "hold": h.service()}
	if c.Journal != "" {
		journal, err := openJournal(c.Journal)
		if err != nil {
			return err
		}
		services["count"] = journal.service()
	}
	w, err := assigner.NewWorker(assigner.WorkerConfig{Broker: c.Broker, Name: c.Name, Slots: c.Slots, Services: services})
	if err != nil {
		return err
	}
	go func() {
		<-w.Welcomed()
		stage.Say("registered")
		for line := range stage.Heard() {
			if key, ok := strings.CutPrefix(line, "free "); ok {
				h.free(key)
			} else if line == "busy" {
				stage.Say("busy %d", w.Busy())
			}
		}
	}()
	return w.Serve(ctx)
}

// workerProcess starts a worker of the site in a process of its own, and waits until it is registered.
func workerProcess(t *testing.T, site *rig.Site, name string, slots int) *rig.Process {
	t.Helper()
	p := rig.Spawn(t, "worker", workerConfig{Broker: site.Workers, Name: name, Slots: slots})
	p.Await("registered")
	return p
}

// clientConfig is what a client process is told.
type clientConfig struct {
	Broker string
	Hits   int // of the service hold, each with a call under way
}

// clientRole opens hits, makes a call on each, says so and waits for its end.
func clientRole(ctx context.Context, stage *rig.Stage) error {
	var cfg clientConfig
	if err := stage.Config(&cfg); err != nil {
		return err
	}
	c, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: cfg.Broker})
	if err != nil {
		return err
	}
	for i := range cfg.Hits {
		h, err := c.Open(ctx, "hold")
		if err != nil {
			return err
		}
		go func() { _, _ = h.Call(ctx, fmt.Appendf(nil, "key-%d", i)) }()
	}
	stage.Say("opened")
	<-ctx.Done()
	return c.Close(context.Background())
}
