package harness_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/harness"
)

// A worker process of your own is killed while a hit is open at it: the broker says so, with the reason, and the caller is told.
func Example() {
	_ = func(t *testing.T) {
		s := harness.New(t, harness.Config{})
		s.Broker()
		w := s.Process("w1", exec.Command("python3", "my_worker.py"))
		h, err := s.Client().Open(harness.Context(t), "mine")
		if err != nil {
			t.Fatal(err)
		}
		w.Kill()
		s.Expect(harness.Want{Is: "GONE", Of: "w1"})
		if _, err := h.Call(harness.Context(t), nil); err == nil {
			t.Error("the call should have failed")
		}
	}
}

// A cable is pulled out for less time than the broker waits: nobody is judged.
func ExampleLink() {
	_ = func(t *testing.T) {
		s := harness.New(t, harness.Config{})
		s.Broker(func(c *assigner.BrokerConfig) { c.Silence = time.Minute })
		cable := harness.NewLink(t, "cable", s.Workers)
		s.WorkerProcess("w1", "--broker", cable.Endpoint)
		cable.Silence()
		cable.Heal()
		if _, err := s.Client().Do(harness.Context(t), "upper", []byte("hello")); err != nil {
			t.Error(err)
		}
		s.ExpectNone()
	}
}

// A schedule of faults is drawn from a seed, which is printed when the test fails: SEED=n repeats it.
func ExampleSchedule() {
	_ = func(t *testing.T, workers []*harness.Process) {
		steps := harness.Schedule(harness.Seed(t), 20, time.Second,
			harness.Choice{Kind: "freeze", Weight: 3, Parts: len(workers), Least: time.Millisecond, Most: time.Second},
			harness.Choice{Kind: "kill", Weight: 1, Parts: len(workers), Mandatory: 2})
		for _, step := range steps {
			w := workers[step.Part]
			switch step.Kind {
			case "freeze":
				w.Freeze()
				<-time.After(step.For)
				w.Thaw()
			case "kill":
				w.Kill()
			}
		}
	}
}
