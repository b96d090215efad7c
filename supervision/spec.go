package supervision

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/supervision/restart"
)

// Intensity bounds the restarts of one supervisor; zero is 5 within 10 s.
type Intensity = restart.Intensity

// Backoff spreads the restarts of one child; zero is 100 ms doubling to 30 s,
// with full jitter.
type Backoff = restart.Backoff

// Clock is where a supervisor takes its time from. A nested supervisor whose
// Clock is zero takes its parent's; the zero Clock of a root is the real time.
type Clock struct {
	// Now returns the present.
	Now func() time.Time
	// After calls f once, on any goroutine, when d has passed; stop revokes
	// the call if it has not happened yet. f does not block.
	After func(d time.Duration, f func()) (stop func())
}

func realAfter(d time.Duration, f func()) func() {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

func (c Clock) orDefault() Clock {
	if c.Now == nil {
		return Clock{Now: time.Now, After: realAfter}
	}
	return c
}

// Strategy says whom the restart of one child concerns; zero is OneForOne.
type Strategy = restart.Strategy

// The three strategies of OTP.
const (
	OneForOne  = restart.OneForOne
	AllForOne  = restart.AllForOne
	RestForOne = restart.RestForOne
)

// AutoShutdown says whether a supervisor ends with its significant children;
// zero is Never.
type AutoShutdown = restart.AutoShutdown

// The three kinds of AutoShutdown of OTP.
const (
	Never          = restart.Never
	AnySignificant = restart.AnySignificant
	AllSignificant = restart.AllSignificant
)

// Spec describes a supervisor.
type Spec struct {
	// Name is the prefix of a root supervisor's PID; empty is "supervisor".
	// A nested supervisor is named by its ChildSpec's ID.
	Name string

	// Children are started from left to right, each after the one before has
	// reported its start, and stopped from right to left.
	Children []ChildSpec

	// Strategy says who else is stopped and started again when a child is
	// started again; zero is OneForOne: nobody. With AllForOne and RestForOne
	// small temporary children count as younger than all others, and a start
	// that is asked for meanwhile waits until all are up.
	Strategy Strategy

	// AutoShutdown lets the supervisor stop its children in order and end, with
	// reason Shutdown, when a Significant child has ended by itself and is not
	// started again; zero is Never. As a child such a supervisor is best
	// Transient or Temporary: a Permanent one is started again.
	AutoShutdown AutoShutdown

	// Intensity bounds the restarts of all children together. When it is
	// exceeded the supervisor stops its children and ends, and its own parent
	// decides. Zero means 5 restarts within 10 s.
	Intensity Intensity

	// Backoff delays the restarts of a child; it starts afresh when the child
	// has run for Intensity.Window. Zero means 100 ms doubling up to 30 s.
	Backoff Backoff

	// Shutdown is the stop deadline of children that do not state their own,
	// and the common deadline of all small temporary children, which are
	// stopped together. Zero means DefaultShutdown.
	Shutdown time.Duration

	// Options are protoactor's options for the supervisor itself, such as its
	// mailbox and its dispatcher.
	Options []actor.PropsOption

	// ChildOptions are the options of children whose ChildSpec has none. They
	// are applied again for a nested supervisor only if it has no Options.
	ChildOptions []actor.PropsOption

	// Observer, if not nil, is sent an *Exited for every child that ends, and
	// a *Started for every child that is running again.
	Observer *actor.PID

	// OnExit, if not nil, is called for every child that ends, on the
	// supervisor's goroutine: it must not block. Its panics are logged.
	OnExit func(Exited)

	// Logger hears restarts, abnormal ends and abandoned children. Nil means
	// the parent's logger, and for a root the actor system's.
	Logger *slog.Logger

	// Stamps lets Tree.List tell what the children are doing, and is what a
	// ChildSpec's Limit needs. Nil means the parent's; a root has none then.
	Stamps Stamps

	// Watchdog looks at the children that have a Limit, or all but supervisors
	// and small temporary ones if ChildLimit is set. It needs Stamps. Nil means
	// the parent's; a root has none then, and limits do nothing.
	Watchdog   *Watchdog
	ChildLimit time.Duration

	// Clock and Random replace real time and real chance in tests. Random
	// returns a uniform choice from [0, 1).
	Clock  Clock
	Random func() float64
}

// Validate reports the first field that makes no sense.
func (s Spec) Validate() error {
	if err := s.Intensity.Validate(); err != nil {
		return fmt.Errorf("supervisor spec %q: Intensity: %w", s.Name, err)
	}
	if err := s.Backoff.Validate(); err != nil {
		return fmt.Errorf("supervisor spec %q: Backoff: %w", s.Name, err)
	}
	if !s.Strategy.Valid() {
		return fmt.Errorf("supervisor spec %q: Strategy is %v: use OneForOne, AllForOne or RestForOne", s.Name, s.Strategy)
	}
	if !s.AutoShutdown.Valid() {
		return fmt.Errorf("supervisor spec %q: AutoShutdown is %v: use Never, AnySignificant or AllSignificant", s.Name, s.AutoShutdown)
	}
	if s.ChildLimit < 0 {
		return fmt.Errorf("supervisor spec %q: ChildLimit is %v, but a limit cannot be negative: leave it zero for none", s.Name, s.ChildLimit)
	}
	if s.Shutdown < 0 {
		return fmt.Errorf("supervisor spec %q: Shutdown is %v, but a deadline cannot be negative: leave it zero for %v",
			s.Name, s.Shutdown, DefaultShutdown)
	}
	if (s.Clock.Now == nil) != (s.Clock.After == nil) {
		return fmt.Errorf("supervisor spec %q: Clock has only one of Now and After: set both or none", s.Name)
	}
	return s.validateChildren()
}

func (s Spec) validateChildren() error {
	seen := make(map[string]bool, len(s.Children))
	var errs []error
	for i, c := range s.Children {
		if err := c.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("supervisor spec %q: Children[%d]: %w", s.Name, i, err))
		} else if seen[c.ID] {
			errs = append(errs, fmt.Errorf("supervisor spec %q: Children[%d]: ID %q is used twice: make it unique",
				s.Name, i, c.ID))
		}
		if err := s.admits(c); err != nil {
			errs = append(errs, fmt.Errorf("supervisor spec %q: Children[%d]: %w", s.Name, i, err))
		}
		seen[c.ID] = true
	}
	return errors.Join(errs...)
}

// admits reports what speaks against c as a child of this supervisor.
func (s *Spec) admits(c ChildSpec) error {
	if c.Significant && s.AutoShutdown == Never {
		return fmt.Errorf("child spec %q: Significant is set, but the supervisor's AutoShutdown is never: "+
			"set that to AnySignificant or AllSignificant, or leave Significant out", c.ID)
	}
	return nil
}

// inherit fills what a nested supervisor takes from its parent.
func (s *Spec) inherit(parent *Spec) {
	if s.Logger == nil {
		s.Logger = parent.Logger
	}
	if s.Clock.Now == nil {
		s.Clock = parent.Clock
	}
	if s.Stamps == nil {
		s.Stamps = parent.Stamps
	}
	if s.Watchdog == nil {
		s.Watchdog = parent.Watchdog
	}
	if s.Random == nil {
		s.Random = parent.Random
	}
}

// fill puts the defaults in the place of zero values.
func (s *Spec) fill(system *actor.ActorSystem) {
	if s.Logger == nil {
		s.Logger = system.Logger()
	}
	if s.Random == nil {
		s.Random = rand.Float64
	}
	if s.Shutdown == 0 {
		s.Shutdown = DefaultShutdown
	}
	s.Clock = s.Clock.orDefault()
	s.Intensity = s.Intensity.OrDefault()
	s.Backoff = s.Backoff.OrDefault()
}
