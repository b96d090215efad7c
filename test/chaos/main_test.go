package chaos

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/harness"
)

func TestMain(m *testing.M) {
	harness.Roles(map[string]harness.Role{"broker": harness.BrokerRole, "worker": workerRole, "client": clientRole, "pool-member": poolMember})
	goleak.VerifyTestMain(m)
}

// workerConfig is what a worker process is told, in Go and in Python.
type workerConfig struct {
	Brokers []string
	Name    string
	Slots   int
	Journal string

	Heartbeat, Silence time.Duration // 0: the defaults
}

func workerRole(ctx context.Context, stage *harness.Stage) error {
	var c workerConfig
	if err := stage.Config(&c); err != nil {
		return err
	}
	journal, err := OpenJournal(c.Journal)
	if err != nil {
		return err
	}
	w, err := assigner.NewWorker(assigner.WorkerConfig{
		Brokers: c.Brokers, Name: c.Name, Slots: c.Slots, DirectBind: "tcp://127.0.0.1:0", Heartbeat: c.Heartbeat, Silence: c.Silence,
		Services: map[string]assigner.Service{ServiceName: journal.Serve(), ServiceAgain: journal.ServeAgain()},
	})
	if err != nil {
		return err
	}
	return w.Serve(ctx)
}

// clientConfig is what a client process is told.
type clientConfig struct {
	Brokers []string
	Load    Load
	Ledger  string

	Heartbeat, Silence time.Duration
}

// clientRole makes calls until the test ends it. At each broker it has a hit besides that calls nothing, the anchor, which is opened again when it is lost: by it the
// broker's listing shows when the client is taken for gone.
func clientRole(ctx context.Context, stage *harness.Stage) error {
	var c clientConfig
	if err := stage.Config(&c); err != nil {
		return err
	}
	ledger, err := OpenLedger(c.Ledger)
	if err != nil {
		return err
	}
	var anchors sync.WaitGroup
	for _, b := range c.Brokers {
		anchors.Go(func() { c.anchor(ctx, b) })
	}
	client, err := assigner.Dial(ctx, assigner.ClientConfig{Brokers: refs(c.Brokers), Name: c.Load.Name, Heartbeat: c.Heartbeat, Silence: c.Silence})
	if err != nil {
		return unless(ctx, err)
	}
	NewCrowd(c.Load, client, ledger).Run(ctx)
	anchors.Wait()
	end, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	return client.Close(end)
}

func refs(brokers []string) []assigner.BrokerRef {
	var all []assigner.BrokerRef
	for _, b := range brokers {
		all = append(all, assigner.BrokerRef{URL: b})
	}
	return all
}

// unless returns an error, unless the test has ended the process just then.
func unless(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (c clientConfig) anchor(ctx context.Context, broker string) {
	client, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: broker, Name: c.Load.Name, Heartbeat: c.Heartbeat, Silence: c.Silence})
	if unless(ctx, err) != nil {
		panic(err)
	}
	if err != nil {
		return
	}
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		_ = client.Close(end)
	}()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for generation := 1; ctx.Err() == nil; generation++ {
		key := fmt.Sprintf("anchor-%s-%d-%d", c.Load.Name, pid(), generation)
		h, err := client.OpenWith(ctx, assigner.OpenRequest{Service: ServiceName, Label: key, Session: about{key}})
		for err == nil && ctx.Err() == nil {
			<-look.C
			var v assigner.Vitals
			if v, err = h.IsAlive(ctx); v.State == "over" {
				break
			}
		}
		<-look.C
	}
}
