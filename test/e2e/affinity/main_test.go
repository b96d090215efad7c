package affinity_test

import (
	"context"
	"testing"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

func TestMain(m *testing.M) { rig.Main(m, map[string]rig.Role{"worker": serveWitnesses}) }

// cast configures a worker process.
type cast struct {
	Broker  string
	Name    string
	Slots   int
	Barrier int           // calls that the barrier waits for
	Limit   time.Duration // how long an incomplete barrier is waited for
	Threads assigner.Threads
	Keep    bool
}

// serveWitnesses is the role of a worker process.
func serveWitnesses(ctx context.Context, stage *rig.Stage) error {
	var c cast
	if err := stage.Config(&c); err != nil {
		return err
	}
	s := &scene{barrier: newBarrier(c.Barrier, c.Limit)}
	w, err := assigner.NewWorker(assigner.WorkerConfig{Broker: c.Broker, Name: c.Name, Slots: c.Slots, Services: s.services(c.Threads, c.Keep)})
	if err != nil {
		return err
	}
	go func() {
		<-w.Welcomed()
		stage.Say("registered")
	}()
	return w.Serve(ctx)
}
