package assigner

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors/host"
	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/supervision"
)

// ErrHung is the end of a broker, worker or client that cannot go on because code in it does not return: its loop, or too many
// handlers. Its process is to be ended and started again, since what hangs keeps its thread.
var ErrHung = errors.New("assigner: code that does not return: the process must be started again")

// WatchConfig is what a broker, worker or client watches in its own process. Every zero value is the documented default.
type WatchConfig struct {
	// Loop is how long the loop may be in one turn, which takes microseconds: beyond, it is a defect of ours, the stack is logged, and the process is to
	// end. Default 10 s, -1: for ever.
	Loop time.Duration
	// Child is how long a child of Children may be in one message, where its spec has no Limit: beyond, its stack is logged, and it is abandoned and
	// replaced by its restart type. Default: for ever.
	Child time.Duration
	// MaxZombies is how many such handlers, and sessions left behind on their threads, may live before the process is to end; default 16, -1: any number.
	MaxZombies int
	// Pulse, if not nil, is called on the loop every PulseEvery (default 1 s): who hears it no more knows that the loop is stuck, or the process stands
	// still. It must not block.
	Pulse      func() `json:"-"`
	PulseEvery time.Duration
	// Exit ends the process, with supervision.ExitStuck: 70. Default: nothing does, but Wait and Serve return an ErrHung.
	Exit func(code int) `json:"-"`
	// OnStuck, if not nil, hears of each handler and loop that does not return. It must not block.
	OnStuck func(supervision.Hung) `json:"-"`
}

func (c *WatchConfig) validate(of string) error {
	if c.Loop < -1 || c.Child < 0 || c.MaxZombies < -1 || c.PulseEvery < 0 {
		return fmt.Errorf("assigner: %s.Watch: Loop is %v, Child %v, MaxZombies %d, PulseEvery %v: none may be negative, but Loop and MaxZombies -1: no limit",
			of, c.Loop, c.Child, c.MaxZombies, c.PulseEvery)
	}
	return nil
}

// sentry is what watches one loop and its tree from outside.
type sentry struct {
	*supervision.Watchdog
	cfg    WatchConfig
	once   sync.Once
	failed chan struct{} // closed when the process is to end
}

func newSentry(cfg WatchConfig, logger *slog.Logger) *sentry {
	def(&cfg.Loop, 10*time.Second)
	def(&cfg.PulseEvery, defaultPulse)
	s := &sentry{cfg: cfg, failed: make(chan struct{})}
	s.Watchdog = supervision.NewWatchdog(supervision.WatchdogConfig{
		MaxZombies: cfg.MaxZombies, OnStuck: cfg.OnStuck, Logger: logger, Exit: s.exit,
	})
	return s
}

func (s *sentry) exit(code int) {
	if s.cfg.Exit != nil {
		s.cfg.Exit(code) // before anybody else can end the process with another code
	}
	s.once.Do(func() { close(s.failed) })
}

// hung is closed when the process is to end; a nil sentry's never.
func (s *sentry) hung() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.failed
}

func (s *sentry) close() {
	if s != nil {
		s.Close()
	}
}

// overLoop watches the loop: that in one turn beyond its limit is the death of the process.
func (s *sentry) overLoop(name string, loop *bridge.Loop) {
	if s.cfg.Loop < 0 {
		return
	}
	_, _ = s.Watch(supervision.Watched{ // fails without a limit only
		Path: name + "/loop", Limit: s.cfg.Loop,
		Look: func() (bool, string, uint64) {
			turn, busy := loop.Pulse()
			return busy, "a turn of the loop", turn
		},
		Stack: func() []byte { return supervision.StackOf("bridge.(*Loop).turn", loop) },
		Stuck: func(h supervision.Hung) {
			s.End("its loop does not return from a turn", "loop", h.Path, "for", h.After)
		},
	})
}

// childrenChild is the supervisor of what embedders hang into a tree.
const childrenChild = "children"

// embedded returns the supervisor of an embedder's own children, which do not live on the loop.
func embedded(children []supervision.ChildSpec, limit time.Duration) []supervision.ChildSpec {
	if len(children) == 0 {
		return nil
	}
	options := []actor.PropsOption{
		actor.WithDispatcher(actor.NewDefaultDispatcher(host.DefaultThroughput)),
		actor.WithMailbox(host.Mailbox(host.MailboxConfig{Clock: host.Monotonic})),
	}
	return []supervision.ChildSpec{supervision.Supervisor(childrenChild, supervision.Spec{
		Options: options, ChildOptions: options, Children: children, ChildLimit: limit,
	})}
}

// checkChildren reports what is wrong with an embedder's own children.
func checkChildren(of string, children []supervision.ChildSpec) error {
	if err := (supervision.Spec{Name: childrenChild, Children: children}).Validate(); err != nil {
		return fmt.Errorf("assigner: %s.Children: %w", of, err)
	}
	return nil
}
