package supervision

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/supervision/watch"
)

// ExitStuck is the code with which a Watchdog ends a process that cannot go
// on: its parent is to start it again.
const ExitStuck = 70

// DefaultMaxZombies is how many handlers may have been given up and not have
// come back.
const DefaultMaxZombies = 16

// WatchdogConfig says what a Watchdog does. The zero value is usable.
type WatchdogConfig struct {
	// MaxZombies is how many zombies may live: each holds a goroutine, and
	// perhaps a thread and a lock, for good. One more, and the process ends.
	// Zero means DefaultMaxZombies, -1 any number.
	MaxZombies int
	// Exit ends the process; nil means os.Exit. It is called with ExitStuck.
	Exit func(code int)
	// OnStuck, if not nil, hears of each handler that does not return, on the
	// watchdog's goroutine, which it must not block.
	OnStuck func(Hung)
	// Logger is where all this is told; nil means slog.Default().
	Logger *slog.Logger
	// Clock replaces real time in tests.
	Clock Clock
}

// Watchdog looks at handlers from outside: those of children with a Limit, and
// whatever is given to Watch. It is not one of the actors it looks at, and
// owns a timer only while there is something to look at. All methods may be
// called from any goroutine.
type Watchdog struct {
	cfg   WatchdogConfig
	start time.Time

	mu      sync.Mutex
	pulse   watch.Pulse
	watched map[*watched]struct{}
	zombies int
	worst   int
	cancel  func() // of the timer; nil: none is set
	closed  bool
}

// Watched is a handler, as a Watchdog sees it.
type Watched struct {
	// Path names it in what is told.
	Path string
	// Limit is how long it may be in one message, above zero.
	Limit time.Duration
	// Look says whether it is busy, with what, and with any number that tells
	// the message from the next. It must not wait for the handler.
	Look func() (busy bool, what string, message uint64)
	// Stack captures what it is doing; nil if that cannot be known.
	Stack func() []byte
	// Stuck is called when it has not returned for its limit. It decides what
	// is done, and must not wait for the handler either.
	Stuck func(Hung)
	// Back, if not nil, is called when it has returned after all.
	Back func()
}

type watched struct {
	Watched
	handler watch.Handler
}

// NewWatchdog returns a watchdog with nothing to look at.
func NewWatchdog(cfg WatchdogConfig) *Watchdog {
	if cfg.MaxZombies == 0 {
		cfg.MaxZombies = DefaultMaxZombies
	}
	if cfg.Exit == nil {
		cfg.Exit = os.Exit
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	cfg.Clock = cfg.Clock.orDefault()
	return &Watchdog{cfg: cfg, start: cfg.Clock.Now(), watched: make(map[*watched]struct{})}
}

// Watch looks at h from now on, until remove is called.
func (w *Watchdog) Watch(h Watched) (remove func(), err error) {
	if h.Limit <= 0 || h.Look == nil || h.Stuck == nil {
		return nil, errors.New("supervision: Watched: Limit must be positive, Look and Stuck must be set")
	}
	e := &watched{Watched: h, handler: watch.Handler{Limit: h.Limit}}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return func() {}, nil
	}
	w.watched[e] = struct{}{}
	w.adjust()
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.watched, e)
		w.adjust()
	}, nil
}

// adjust makes the pulse that of the shortest limit. The lock is held.
func (w *Watchdog) adjust() {
	if len(w.watched) == 0 || w.closed {
		if w.cancel != nil {
			w.cancel()
			w.cancel = nil
		}
		w.pulse.Rest()
		return
	}
	shortest := time.Duration(0)
	for e := range w.watched {
		if shortest == 0 || e.Limit < shortest {
			shortest = e.Limit
		}
	}
	p := watch.NewPulse(shortest)
	if w.cancel != nil && p.Every >= w.pulse.Every {
		w.pulse.Every, w.pulse.Bound = p.Every, p.Bound // from the next look on
		return
	}
	if w.cancel != nil {
		w.cancel()
		w.pulse.Rest()
	}
	w.pulse.Every, w.pulse.Bound = p.Every, p.Bound
	w.cancel = w.cfg.Clock.After(p.Every, w.look)
}

// look looks at everybody once.
func (w *Watchdog) look() {
	w.mu.Lock()
	if w.closed || len(w.watched) == 0 {
		w.mu.Unlock()
		return
	}
	now := w.cfg.Clock.Now().Sub(w.start)
	w.pulse.Ran(now)
	var told []func()
	for e := range w.watched {
		busy, what, message := e.Look()
		switch found, seen := e.handler.Look(now, w.pulse.Since(), busy, message); {
		case found == watch.Stuck:
			told = append(told, func() { w.tell(e, what, seen) })
		case found == watch.Back && e.Back != nil:
			told = append(told, e.Back)
		}
	}
	w.cancel = w.cfg.Clock.After(w.pulse.Every, w.look)
	w.mu.Unlock()
	for _, tell := range told {
		tell()
	}
}

func (w *Watchdog) tell(e *watched, what string, seen time.Duration) {
	h := Hung{Path: e.Path, Message: what, After: seen, Limit: e.Limit}
	if e.Stack != nil {
		h.Stack = e.Stack()
	}
	w.Report(h)
	e.Stuck(h)
}

// Report tells of a handler that does not return, whoever has found that out.
func (w *Watchdog) Report(h Hung) {
	w.cfg.Logger.Error("a handler does not return", "path", h.Path, "message", h.Message, "for", h.After,
		"limit", h.Limit, "stack", string(h.Stack))
	if w.cfg.OnStuck != nil {
		w.cfg.OnStuck(h)
	}
}

// Zombies returns how many handlers have been given up and have not come back,
// and the most there have been.
func (w *Watchdog) Zombies() (live, worst int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.zombies, w.worst
}

// Abandoned counts a zombie. Returned, which must be called once it has come
// back and ended, takes it off again. Beyond MaxZombies the process ends.
func (w *Watchdog) Abandoned(path string) (returned func()) {
	w.mu.Lock()
	w.zombies++
	n := w.zombies
	w.worst = max(w.worst, n)
	w.mu.Unlock()
	if limit := w.cfg.MaxZombies; limit >= 0 && n > limit {
		w.End("too many handlers were given up and have not come back", "zombies", n, "limit", limit, "last", path)
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			w.mu.Lock()
			w.zombies--
			w.mu.Unlock()
			w.cfg.Logger.Info("a handler that was given up has come back; it has ended", "path", path)
		})
	}
}

// End says why the process cannot go on, and ends it with ExitStuck.
func (w *Watchdog) End(why string, attrs ...any) {
	w.cfg.Logger.Error("the process ends, for its parent to start it again: "+why, append(attrs, "exit_code", ExitStuck)...)
	w.cfg.Exit(ExitStuck)
}

// Close makes the watchdog look at nothing any more.
func (w *Watchdog) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	clear(w.watched)
	w.adjust()
}
