package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// Access says who may come in at endpoints that are bound (Keys, Service, Insecure), and by which key others are entered (Key).
type Access = station.Access

// VentilatorConfig says how a ventilator works. Bind is required; the other zero values are the documented defaults.
type VentilatorConfig struct {
	// Bind lists the endpoints for workers and the sink.
	Bind []string
	Access
	// Window is how many tasks may be unfinished until Push waits; default 10,000.
	Window int
	// MaxBody is the most bytes of a task's frames together; default 1 MiB.
	MaxBody int
	// MaxTries is how many workers are given one task at most; default 3.
	MaxTries int
	// Lease is how long a worker may have a task until another one is given it, too; default: for ever, so that only the loss of its connection counts.
	Lease time.Duration
	// Confirm is how long a result may be on its way from worker to sink until the task is done again; default 5 s.
	Confirm time.Duration

	Logger  *slog.Logger     // default: slog.Default()
	Context *zmqsock.Context // default: shared by all of the process, which inproc endpoints need
	Poison  bool             // overwrite released bytes; for tests
}

// Validate reports the first field that cannot be used.
func (c *VentilatorConfig) Validate() error {
	switch {
	case len(c.Bind) == 0:
		return fmt.Errorf("pipeline: VentilatorConfig.Bind is empty: name an endpoint, as in tcp://127.0.0.1:5557")
	case c.Window < 0 || c.MaxBody < 0 || c.MaxTries < 0:
		return fmt.Errorf("pipeline: Window %d, MaxBody %d, MaxTries %d: none may be negative", c.Window, c.MaxBody, c.MaxTries)
	case c.Lease < 0 || c.Confirm < 0:
		return fmt.Errorf("pipeline: Lease %v, Confirm %v: none may be negative", c.Lease, c.Confirm)
	}
	if err := c.Check(c.Bind, nil); err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	return nil
}

// SinkConfig says how a sink works. Ventilator and Bind are required; the other zero values are the documented defaults.
type SinkConfig struct {
	// Ventilator is the ventilator's endpoint. It need not be there yet.
	Ventilator string
	// Bind is the endpoint for results: what workers connect to.
	Bind string
	// Advertise is how workers reach Bind, if not by that very text: tcp://*:5558 is nothing to connect to.
	Advertise string
	Access
	// Queue is how many events may wait here until they are received; then workers wait. Default 1000.
	Queue int
	// MaxBody is the most bytes of one frame of a result; default 1 MiB.
	MaxBody int

	Logger  *slog.Logger     // default: slog.Default()
	Context *zmqsock.Context // default: shared by all of the process, which inproc endpoints need
	Poison  bool             // overwrite released bytes; for tests
}

// Validate reports the first field that cannot be used.
func (c *SinkConfig) Validate() error {
	switch {
	case c.Ventilator == "" || c.Bind == "":
		return fmt.Errorf("pipeline: SinkConfig.Ventilator is %q and Bind %q: both are needed", c.Ventilator, c.Bind)
	case c.Queue < 0 || c.MaxBody < 0:
		return fmt.Errorf("pipeline: Queue %d, MaxBody %d: none may be negative", c.Queue, c.MaxBody)
	}
	if err := c.Check([]string{c.Bind}, []string{c.Ventilator}); err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	if c.Advertise != "" {
		if err := zmqsock.CheckEndpoint("connect", c.Advertise); err != nil {
			return fmt.Errorf("pipeline: Advertise: %w", err)
		}
	}
	return nil
}

// Handler does one task, and returns the body of its result. The context ends with the worker, and when the ventilator says Kill. An error, or a panic, is a result as well
// (Event.Err): the task is not done again.
type Handler func(ctx context.Context, t *Task) ([][]byte, error)

// Task is one task. It is the handler's own.
type Task struct {
	Batch, Index uint64
	Body         [][]byte
}

// WorkerConfig says how a worker works. Ventilator and Handler are required; the other zero values are the documented defaults.
type WorkerConfig struct {
	// Ventilator is the ventilator's endpoint. It need not be there yet; where the sink is is learnt from it.
	Ventilator string
	Handler    Handler
	Access
	// Name is how the ventilator's log calls it; default: host name and process id.
	Name string
	// Threads is how many tasks are worked on at the same time, each on a goroutine of its own; default 1.
	Threads int
	// Credit is how many tasks the worker has at a time, those that wait included; default: twice Threads.
	Credit int
	// MaxBody is the most bytes of one frame of a task; default 1 MiB.
	MaxBody int

	Logger  *slog.Logger     // default: slog.Default()
	Context *zmqsock.Context // default: shared by all of the process, which inproc endpoints need
	Poison  bool             // overwrite released bytes; for tests
}

// Validate reports the first field that cannot be used.
func (c *WorkerConfig) Validate() error {
	switch {
	case c.Ventilator == "" || c.Handler == nil:
		return fmt.Errorf("pipeline: WorkerConfig.Ventilator and Handler are needed: Ventilator is %q", c.Ventilator)
	case c.Threads < 0 || c.Credit < 0 || c.Credit > maxCredit || c.MaxBody < 0:
		return fmt.Errorf("pipeline: Threads %d, Credit %d, MaxBody %d: none may be negative, Credit at most %d", c.Threads, c.Credit, c.MaxBody, maxCredit)
	case c.Credit > 0 && c.Credit < c.Threads:
		return fmt.Errorf("pipeline: Credit %d is below Threads %d: some threads would never have a task", c.Credit, c.Threads)
	}
	if err := c.Check(nil, []string{c.Ventilator}); err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	return nil
}
