package assigner

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// Handler serves one call. The context ends when the call is cancelled, its deadline passes, its client is gone, or the worker stops. The reply's
// bytes may be reused when the handler is called again.
type Handler func(ctx context.Context, c *Call) ([]byte, error)

// Session is what a hit is to the worker: made by Service.Open, called in order, and closed, all on the hit's thread.
type Session interface {
	// Call serves one call; an error answers that call, and the session goes on. An error that is ErrPanicked says that the
	// session is lost, as a panic does, without a stack in the log: for code that runs elsewhere, say in a process that has ended.
	Call(ctx context.Context, c *Call) ([]byte, error)
	// Close ends the session. It runs once, also after a crash in Call.
	Close() error
}

// Service is one thing a worker does. Either Handler or Open is set.
type Service struct {
	// Handler serves calls without a session object.
	Handler Handler
	// Open makes the session object of a hit, on the hit's thread. An error refuses the hit. The context ends with the hit, or before that when the
	// opening is cancelled or the worker stops while it is under way: a session may keep it.
	Open func(ctx context.Context, o *Opening) (Session, error)
	// Threads says what serves a hit; the default is a thread of its own.
	Threads Threads
	// KeepThread keeps a pinned thread for a later hit, of any service that keeps threads, instead of destroying it; for code whose thread set-up is
	// dear and leaves nothing of one hit to the next. After a crash it is destroyed all the same.
	KeepThread bool
	// Lease is how long a call may run without a sign of its thread before it is STUCK, where that is longer than the broker's limit (BrokerConfig.Stuck).
	// A call may ask for more (Call.Hold).
	Lease time.Duration
	// Repair is what is done about a call that is stuck, or whose worker is lost; the default is RepairFail where Lease is set, else RepairTell. A broker may
	// be told otherwise (BrokerConfig.Repair).
	Repair Repair
}

func (s *Service) validate(name string) error {
	if (s.Handler == nil) == (s.Open == nil) {
		return fmt.Errorf("assigner: service %q has Handler set: %t, Open set: %t: set one of the two", name, s.Handler != nil, s.Open != nil)
	}
	if s.Threads != Pinned && s.Threads != Goroutines {
		return fmt.Errorf("assigner: service %q has Threads %d: use Pinned or Goroutines", name, s.Threads)
	}
	if s.KeepThread && s.Threads == Goroutines {
		return fmt.Errorf("assigner: service %q has KeepThread set with Goroutines, which have no thread to keep: leave it out", name)
	}
	switch {
	case s.Lease < 0 || s.Lease > wire.MaxLimitMS*time.Millisecond:
		return fmt.Errorf("assigner: service %q has Lease %v: from 0 to %v are possible", name, s.Lease, wire.MaxLimitMS*time.Millisecond)
	case !slices.Contains([]Repair{RepairDefault, RepairTell, RepairFail, RepairRestart}, s.Repair):
		return fmt.Errorf("assigner: service %q has Repair %q: %q, %q and %q are possible", name, s.Repair, RepairTell, RepairFail, RepairRestart)
	}
	return nil
}

func (s *Service) open(ctx context.Context, o *Opening) (Session, error) {
	if s.Handler != nil {
		return plainSession{s.Handler}, nil
	}
	return s.Open(ctx, o)
}

type plainSession struct{ h Handler }

// Call is Session's.
func (s plainSession) Call(ctx context.Context, c *Call) ([]byte, error) { return s.h(ctx, c) }

// Close is Session's.
func (s plainSession) Close() error { return nil }

// Opening is what a session is opened with.
type Opening struct {
	Hit     uint64
	Service string
	Thread  int             // OS thread id where the hit has a thread of its own, else 0
	Session json.RawMessage // the client's option "session", unread; nil if there was none
}

// Call is one call of a hit.
type Call struct {
	Hit     uint64
	Service string
	Seq     uint32   // 1 for the hit's first call
	Frames  [][]byte // the body, at least one frame; the handler's until it returns

	more   [][]byte
	slot   *slot
	run    *callContext
	in     *inflow  // its body, where that comes in parts
	out    *outflow // its reply, where that goes in parts
	closed bool     // Output is
	broken error    // why that is not whole
}

// Body returns the first frame of the body.
func (c *Call) Body() []byte { return c.Frames[0] }

// More adds a frame to the reply, behind what the handler returns.
func (c *Call) More(frame []byte) { c.more = append(c.more, frame) }

// Progress tells the client how far the call has come, from 0 to 1, with an optional note; it also proves that the hit's thread
// makes progress. It must be called by the handler, not by goroutines that outlive it.
func (c *Call) Progress(done float64, note string) { c.slot.progress(c.Seq, done, note) }

// Hold tells the broker that the call will give no sign for so long, say because it waits for a lock or calls native code: until then it is not STUCK. It
// lengthens the lease of this call, never shortens it, and must be called by the handler.
func (c *Call) Hold(d time.Duration) {
	if d > 0 {
		c.slot.promise(d)
		c.slot.send(wire.Header{Type: wire.Hold, Seq: c.Seq, Arg: uint32(min(d.Milliseconds(), wire.MaxLimitMS))})
	}
}

// checkServices judges what a worker is to offer.
func checkServices(where string, services map[string]Service) error {
	for name, s := range services {
		if err := wire.CheckService([]byte(name)); err != nil {
			return fmt.Errorf("assigner: %s: %w", where, err)
		}
		if err := s.validate(name); err != nil {
			return err
		}
	}
	return nil
}
