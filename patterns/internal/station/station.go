package station

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Config says how a station works. Turn is required; the other zero values are the documented defaults.
type Config struct {
	// Name is how the log calls it.
	Name   string
	Logger *slog.Logger // default: slog.Default()
	// Context is the ZeroMQ context; default: the process's shared one, which inproc needs.
	Context *zmqsock.Context
	Access  Access
	// Turn runs after what has come was heard: it sends what was written. It returns how much it has done, and how long it can wait at most for the
	// next turn if nothing comes (negative: for ever).
	Turn func(now time.Duration) (did int, wait time.Duration)
	// Pending reports whether Turn has something to do that was written by another goroutine; nil: never. Whoever writes calls Rouse afterwards.
	Pending func() bool
	// End runs when the station ends, before the sockets are closed; nil: nothing.
	End func()
	// Batch is how many messages are received from one socket at a time; default 256.
	Batch int
	// Spin is how often the station yields to other goroutines before it sleeps; default 0.
	Spin int
	// Unreachable is how long a host may be gone before its connections are; default 3 s.
	Unreachable time.Duration
	// Poison overwrites released bytes, so that a use after release shows; for tests.
	Poison bool
}

// Station owns sockets. Methods belong to its goroutine, and before Run to its maker, unless they say otherwise.
type Station struct {
	cfg     Config
	ctx     *zmqsock.Context
	release func()
	door    *door
	wake    *zmqsock.Wake
	poll    *zmqsock.Poller
	in      *zmqsock.In
	ports   []*Port
	events  []zmqsock.Event
	start   time.Time
	turns   int
	at      time.Duration // of the present turn
	heard   time.Duration // when monitors were asked last

	asleep  atomic.Bool
	posting atomic.Bool
	mu      sync.Mutex
	posted  []func()
	ended   bool
	stop    chan struct{}
	once    sync.Once
	done    chan struct{}
	err     error
}

// ErrInternal is the cause where a station has ended because of a mistake in itself.
var ErrInternal = errors.New("it has ended because of a mistake in itself")

// New returns a station without sockets. It is to be run, or closed by Abandon.
func New(cfg Config) (*Station, error) {
	Default(&cfg.Batch, 256)
	Default(&cfg.Unreachable, 3*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Station{cfg: cfg, ctx: cfg.Context, release: func() {}, start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	var err error
	if s.ctx == nil {
		if s.ctx, s.release, err = bridge.SharedContext(); err != nil {
			return nil, err
		}
	}
	if s.door, err = openDoor(cfg.Access, s.ctx, cfg.Logger); err != nil {
		s.release()
		return nil, err
	}
	if s.in, err = zmqsock.NewIn(cfg.Batch); err == nil {
		s.wake, err = zmqsock.NewWake()
	}
	if err != nil {
		s.giveBack()
		return nil, err
	}
	s.poll = zmqsock.NewPoller(s.wake)
	return s, nil
}

// Now returns the time since the station was made. It is safe for use from any goroutine.
func (s *Station) Now() time.Duration { return time.Since(s.start) }

// At returns the time when the present turn began, at no cost. It is for Hear.
func (s *Station) At() time.Duration { return s.at }

// Run starts the goroutine. It ends with ctx, by Close, or by a mistake in itself, which Err tells.
func (s *Station) Run(ctx context.Context) {
	go func() {
		defer close(s.done)
		defer context.AfterFunc(ctx, s.Stop)()
		defer s.giveBack()
		if s.err = s.serve(); s.err != nil {
			s.cfg.Logger.Error(s.cfg.Name+" has ended", "error", s.err)
		}
	}()
}

// Abandon closes a station that was never run.
func (s *Station) Abandon() {
	s.giveBack()
	close(s.done)
}

// Stop asks the station to end, after it has sent what was written. It is safe for use from any goroutine, and does not wait.
func (s *Station) Stop() {
	s.once.Do(func() { close(s.stop) })
	s.wake.Wake()
}

// Close stops the station and waits until it has given everything back, or ctx is over. It returns why it had ended before, if it had. It is safe for
// use from any goroutine but the station's.
func (s *Station) Close(ctx context.Context) error {
	s.Stop()
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return fmt.Errorf("%s does not end: %w", s.cfg.Name, context.Cause(ctx))
	}
}

// Done is closed when the station has ended. It is safe for use from any goroutine.
func (s *Station) Done() <-chan struct{} { return s.done }

// Stopping is closed when the station is about to end. It is safe for use from any goroutine.
func (s *Station) Stopping() <-chan struct{} { return s.stop }

// Err returns why the station has ended by itself; nil while it runs, and after an orderly end. It is safe for use from any goroutine.
func (s *Station) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Rouse makes the station look for what is pending. It is safe for use from any goroutine.
func (s *Station) Rouse() {
	if s.asleep.Load() {
		s.wake.Wake()
	}
}

// Do runs fn on the station's goroutine, soon; it reports false, and never runs it, when the station has ended. It is safe for use from any goroutine.
func (s *Station) Do(fn func()) bool {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return false
	}
	s.posted = append(s.posted, fn)
	s.mu.Unlock()
	s.posting.Store(true)
	s.Rouse()
	return true
}

func (s *Station) serve() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s: %w: %v\n%s", s.cfg.Name, ErrInternal, v, debug.Stack())
		}
	}()
	for {
		select {
		case <-s.stop:
			return s.last()
		default:
		}
		did, wait, err := s.turn()
		if err != nil {
			return err
		}
		if did == 0 {
			if err := s.sleep(wait); err != nil {
				return err
			}
		}
	}
}
