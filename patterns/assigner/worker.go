package assigner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors/host"
	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner/machine"
	"github.com/troupe-mq/troupe/supervision"
)

// Threads says what serves a hit.
type Threads int

// The kinds of threads.
const (
	// Pinned gives each hit an OS thread of its own, the same from open to close.
	Pinned Threads = iota
	// Goroutines serves each hit by goroutines, one at a time, on whatever thread there is: faster, for code that does not care.
	Goroutines
)

// WorkerConfig says what a worker offers. Services is required; the other zero values are the documented defaults.
type WorkerConfig struct {
	Broker   string             // the broker's endpoint for workers; default DefaultWorkers
	Brokers  []string           // in place of Broker: several brokers' endpoints, which share the worker's slots
	Name     string             // unique at each broker; default: host name and process id
	Key      string             // the one string that `troupe keys add` has printed, for a broker with keys; as ClientConfig.Key
	Slots    int                // hits served at the same time; default 8
	Services map[string]Service // by name
	Labels   map[string]string  // for targets that select workers by them (Target.Where); worker, host and lang are there without being set
	// MaxSlots is how far the slots grow when hits find none free; default: as many as Slots. A slot above Slots that was idle for SlotIdle is
	// retired; default 30 s.
	MaxSlots int
	SlotIdle time.Duration
	// Backlog is the worker's credit: it takes so many hits more than Slots, and of all only Slots calls run at a time; the others wait here, until a turn is free, cancelled or expired. So
	// a worker has the next task at hand when it ends one, but what waits here can no longer be seen, moved or removed in the broker's queue. Default 0; not with MaxSlots above Slots.
	Backlog int
	// Heartbeat is how often the worker's ZeroMQ thread sends a heartbeat of its own; default: never, since those of the broker and the answers to them tell
	// both sides enough. Silence is after how long without a sign the worker gives its broker up, and, where it is longer than the broker's own limit, the
	// broker the worker; default 3 s, or three of the broker's heartbeats.
	Heartbeat, Silence time.Duration
	// Stop is how long an idle part, or a session that is asked to end, may take to stop; default 5 s.
	Stop time.Duration

	// WriteOff is how long a session may take to come back that was asked to end: its calls cancelled, and its hit over, or its Close called. A call that has
	// asked for a longer lease (Service.Lease, Call.Hold) has that. Beyond, its thread is written off: logged with its stack, counted among the
	// zombies of Watch, and fenced; its slot gets a new one. Default as Stop; -1: the slot is taken until the thread comes back.
	WriteOff time.Duration

	// Children are actors and services (supervision.Service) of your own, started after all that is the worker's and stopped before it, under a supervisor
	// with the default intensity: when that is exceeded, the worker ends.
	Children []supervision.ChildSpec
	// Watch is what is watched within the process.
	Watch WatchConfig

	System  *actor.ActorSystem // default: one of the worker's own
	Logger  *slog.Logger       // default: slog.Default()
	Context *zmqsock.Context   // default: shared by all of the process, which inproc endpoints need
	// MaxBody is the largest body taken from the broker, bytes. A broker that passes larger ones is refused; default: none is.
	MaxBody int
	// DirectBind is the endpoint that the worker binds for direct hits, as tcp://127.0.0.1:0, where the system chooses the port; empty: it serves none.
	DirectBind string
	// DirectAdvertise is the host that clients are told in place of DirectBind's, say where that is 0.0.0.0.
	DirectAdvertise string
	// Insecure allows a DirectBind that other machines can reach.
	Insecure bool
	// Codec makes values of bodies, and replies of values, for Typed and Call.Decode; default JSON.
	Codec Codec
	// PerFrame uses the ZeroMQ binding's per-frame calls in place of the batch shim.
	PerFrame bool
}

// Validate reports the first field that cannot be used.
func (c *WorkerConfig) Validate() error {
	if err := c.checkBrokers(); err != nil {
		return err
	}
	if err := c.checkDirect(); err != nil {
		return err
	}
	switch {
	case len(c.Services) == 0:
		return errors.New("assigner: WorkerConfig.Services is empty: offer at least one service")
	case c.Slots < 1 || c.Slots > wire.MaxSlots:
		return fmt.Errorf("assigner: WorkerConfig.Slots is %d: from 1 to %d are possible", c.Slots, wire.MaxSlots)
	case c.MaxSlots != 0 && (c.MaxSlots < c.Slots || c.MaxSlots > wire.MaxSlots):
		return fmt.Errorf("assigner: WorkerConfig.MaxSlots is %d with %d Slots: from as many as Slots to %d are possible, or 0 for as many", c.MaxSlots, c.Slots, wire.MaxSlots)
	case c.Backlog < 0 || c.Slots+c.Backlog > wire.MaxSlots:
		return fmt.Errorf("assigner: WorkerConfig.Backlog is %d with %d Slots: together from %d to %d are possible", c.Backlog, c.Slots, c.Slots, wire.MaxSlots)
	case c.Backlog > 0 && c.grows():
		return fmt.Errorf("assigner: WorkerConfig.Backlog is %d with MaxSlots %d above Slots %d: leave one of the two out", c.Backlog, c.MaxSlots, c.Slots)
	case c.SlotIdle < 0:
		return fmt.Errorf("assigner: WorkerConfig.SlotIdle is %v: it may not be negative", c.SlotIdle)
	case len(c.Name) > wire.MaxName:
		return fmt.Errorf("assigner: WorkerConfig.Name has %d bytes: at most %d are possible", len(c.Name), wire.MaxName)
	case c.WriteOff < -1:
		return fmt.Errorf("assigner: WorkerConfig.WriteOff is %v: it may not be negative, but -1: never", c.WriteOff)
	case c.Stop < 0 || c.MaxBody < 0 || c.Heartbeat < 0 || c.Silence < 0:
		return fmt.Errorf("assigner: WorkerConfig.Stop %v, MaxBody %d, Heartbeat %v, Silence %v: none may be negative", c.Stop, c.MaxBody, c.Heartbeat, c.Silence)
	}
	if err := wire.CheckLabels(wire.Ready, c.Labels); err != nil {
		return fmt.Errorf("assigner: WorkerConfig.Labels: %w", err)
	}
	if err := checkServices("WorkerConfig.Services", c.Services); err != nil {
		return err
	}
	if err := c.Watch.validate("WorkerConfig"); err != nil {
		return err
	}
	if err := checkChildren("WorkerConfig", c.Children); err != nil {
		return err
	}
	if err := checkLoop(bridge.Config{MaxBody: c.MaxBody, Heartbeat: c.Heartbeat, Silence: c.Silence}); err != nil {
		return err
	}
	return checkKey("WorkerConfig.Key", c.Key)
}

// checkBrokers judges the endpoints of the brokers.
func (c *WorkerConfig) checkBrokers() error {
	if c.Broker != "" && len(c.Brokers) > 0 {
		return fmt.Errorf("assigner: WorkerConfig has Broker %q and Brokers %q: set one of the two", c.Broker, c.Brokers)
	}
	for i, b := range c.endpoints() {
		if err := zmqsock.CheckEndpoint("connect", b); err != nil {
			return err
		}
		if slices.Index(c.Brokers, b) != i && len(c.Brokers) > 0 {
			return fmt.Errorf("assigner: WorkerConfig.Brokers names %s twice: leave one of the two out", b)
		}
	}
	return nil
}

// endpoints returns those of all brokers.
func (c *WorkerConfig) endpoints() []string {
	if len(c.Brokers) > 0 {
		return c.Brokers
	}
	return []string{c.Broker}
}

// grows reports whether the worker can have more slots than at first.
func (c *WorkerConfig) grows() bool { return c.MaxSlots > c.Slots }

func (c WorkerConfig) withDefaults() WorkerConfig {
	if len(c.Brokers) == 0 {
		def(&c.Broker, DefaultWorkers)
	}
	def(&c.Slots, 8)
	def(&c.MaxSlots, c.Slots)
	def(&c.SlotIdle, 30*time.Second)
	def(&c.Stop, 5*time.Second)
	def(&c.WriteOff, c.Stop)
	if c.Name == "" {
		h, _ := os.Hostname()
		c.Name = fmt.Sprintf("%s-%d", h, os.Getpid())
	}
	return c
}

// Worker serves hits. Its methods are safe for concurrent use.
type Worker struct {
	cfg         WorkerConfig
	incarnation string
	hub         *hub
	brokers     []*enrolment
	sessions    *actor.PID            // supervisor of slots
	pool        *host.Goroutines      // of slots without threads of their own
	mailbox     actor.MailboxProducer // of slots
	threads     threadPool
	turns       *turns        // nil: whoever has a slot runs
	front       *front        // nil: it serves no direct hits
	welcomed    chan struct{} // closed at the first WELCOME
	once        sync.Once
	failed      chan struct{} // closed when all brokers have refused the worker for ever
	refused     int           // how many have; the loop's
	lister      lister        // of its tree
	exits       *exits        // looks after sessions that are asked to end
	zombies     atomic.Int64  // threads that were written off and have not come back
	wroteOff    atomic.Uint64 // all that were
	ending      ending

	mu        sync.Mutex
	offer     offer
	slots     *machine.Slots
	keeper    *slotKeeper // nil where all brokers know all there is to know about the slots
	hands     []*hand     // that rest
	handsMade uint64
	idle      chan struct{} // closed when no slot is in use after the last BEGIN
	leaving   bool          // BYE is said
	draining  bool          // no BEGIN is taken any more
}

// NewWorker returns a worker that is not started yet.
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	var calls *turns
	if cfg.Backlog > 0 {
		calls = newTurns(cfg.Slots)
		cfg.Slots += cfg.Backlog
		cfg.MaxSlots = cfg.Slots
	}
	var b [8]byte
	_, _ = rand.Read(b[:])
	w := &Worker{
		cfg: cfg, turns: calls, incarnation: hex.EncodeToString(b[:]), welcomed: make(chan struct{}), failed: make(chan struct{}),
		idle: make(chan struct{}), ending: newEnding(), slots: machine.NewSlots(cfg.Slots, cfg.MaxSlots, cfg.SlotIdle), offer: newOffer(&cfg),
	}
	for _, b := range cfg.endpoints() {
		w.brokers = append(w.brokers, newEnrolment(w, b))
	}
	return w, nil
}

// Serve starts the worker and runs it until ctx ends, the broker refuses it for ever, or a part of it fails; then it closes the worker.
func (w *Worker) Serve(ctx context.Context) error {
	if err := w.Start(ctx); err != nil {
		return err
	}
	failed := w.Wait(ctx)
	if errors.Is(failed, ErrHung) {
		return failed // nothing can be closed in order any more
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*w.cfg.Stop)
	defer cancel()
	return joined([]error{failed, w.Close(stop)})
}

// Start connects to the broker and begins to serve. It does not wait for the broker, which may be started later; Welcomed does. It is called
// once, before all other methods but Name and Close.
func (w *Worker) Start(ctx context.Context) error {
	if w.hub != nil || w.ending.asked.Load() {
		return errors.New("assigner: the worker was started or closed before: make a new one")
	}
	err := w.start(ctx)
	if err != nil {
		_ = w.Close(ctx)
	}
	return err
}

func (w *Worker) start(ctx context.Context) error {
	w.mailbox = w.slotMailbox()
	w.pool = host.GoroutinePool(slotThroughput, min(w.cfg.MaxSlots, maxParked))
	sessions := supervision.Supervisor(sessionsChild, supervision.Spec{
		Shutdown: w.cfg.Stop, OnExit: w.sessionExited,
		ChildOptions: []actor.PropsOption{actor.WithDispatcher(w.pool), actor.WithMailbox(w.mailbox)},
	})
	w.exits = newExits(w)
	children := []supervision.ChildSpec{sessions, {ID: exitsChild, Start: func() actor.Actor { return w.exits }}}
	if w.cfg.grows() || len(w.brokers) > 1 {
		w.keeper = &slotKeeper{worker: w}
		children = append(children, supervision.ChildSpec{ID: "slots", Start: func() actor.Actor { return w.keeper }})
	}
	sides := make([]brokerSide, len(w.brokers))
	for i, e := range w.brokers {
		sides[i] = brokerSide{e.broker, (*workerSide)(e), e.ends}
	}
	if w.cfg.DirectBind != "" {
		w.front = newFront(w)
		children = append(children, w.front.child())
	}
	h, err := startHub(ctx, hubConfig{
		heartbeat: w.cfg.Heartbeat, silence: w.cfg.Silence, mute: w.cfg.Heartbeat == 0,
		brokers: sides, key: w.cfg.Key, accept: toWorkers, system: w.cfg.System, logger: w.cfg.Logger, context: w.cfg.Context,
		maxBody: w.cfg.MaxBody, perFrame: w.cfg.PerFrame, name: "troupe-worker-" + w.incarnation, stop: w.cfg.Stop,
		children: children, own: w.cfg.Children, watch: w.cfg.Watch, spin: workerSpin, busy: w.working,
	})
	if err != nil {
		return err
	}
	w.hub, w.lister.tree = h, h.tree.List
	for i, e := range w.brokers {
		e.link = h.links[i]
	}
	if w.sessions, err = h.child(ctx, sessionsChild); err != nil {
		return err
	}
	if err := h.onLoop(ctx, w.exits.begin); err != nil {
		return err
	}
	if w.keeper != nil {
		if err := h.onLoop(ctx, w.keeper.begin); err != nil {
			return err
		}
	}
	if w.front != nil {
		if err := h.onLoop(ctx, w.front.bind); err != nil {
			return err
		}
	}
	return h.begin(ctx)
}

const (
	sessionsChild = "sessions"
	maxParked     = 256 // goroutines kept for slots without threads of their own
)

// Welcomed is closed when a broker has registered the worker for the first time.
func (w *Worker) Welcomed() <-chan struct{} { return w.welcomed }

// Failed is closed when the broker refused the worker for ever; Serve returns the reason.
func (w *Worker) Failed() <-chan struct{} { return w.failed }

// Name returns the name the worker registers under.
func (w *Worker) Name() string { return w.cfg.Name }

// Busy returns how many slots are in use.
func (w *Worker) Busy() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.slots.Used()
}

// Drain tells the broker to send no new hits and waits until the open ones have ended.
func (w *Worker) Drain(ctx context.Context) error {
	w.mu.Lock()
	w.leaving = true
	w.mu.Unlock()
	_ = w.hub.onLoop(ctx, func() error {
		for _, e := range w.brokers {
			e.leave()
		}
		return nil
	})
	select {
	case <-w.idle:
		return nil
	case <-w.ending.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("assigner: %d hits are still open: %w", w.Busy(), context.Cause(ctx))
	}
}

// Close cancels what runs, ends all sessions on their threads, and stops. Sessions that do not come back in time, say from native code,
// are named in the error and left behind on their threads.
func (w *Worker) Close(ctx context.Context) error {
	return w.ending.come(ctx, func() error { return w.close(ctx) })
}

func (w *Worker) close(ctx context.Context) error {
	if w.hub == nil {
		return nil // it has not been started
	}
	w.mu.Lock()
	w.draining = true
	for _, e := range w.brokers {
		for _, s := range e.slots {
			s.interrupt(0, w.hub.loop.Now()+time.Hour) // the end of the worker has limits of its own
		}
	}
	w.mu.Unlock()
	err := w.hub.close(ctx)
	w.lister.close()
	w.pool.Close()
	late, cancel := context.WithTimeout(ctx, w.cfg.Stop) // the sessions have had theirs
	defer cancel()
	return joined([]error{err, w.threads.close(late), w.pool.Wait(late)})
}

// Wait returns nil when ctx ends or the worker is closed, and before that an error when the broker has refused the worker for ever or a part of
// the worker has failed.
func (w *Worker) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-w.ending.done:
		return nil
	case <-w.failed:
		return w.ending.unless(w.refusal())
	case <-w.hub.sentry.hung():
		return ErrHung
	case <-w.hub.tree.Done():
		return w.ending.unless(w.hub.tree.Err())
	case <-w.hub.loop.Done():
		return w.ending.unless(errors.New("assigner: the worker's loop has ended"))
	}
}

// refusal is why the worker has failed.
func (w *Worker) refusal() error {
	var errs []error
	for _, e := range w.brokers {
		errs = append(errs, e.link.err)
	}
	return joined(errs)
}

// working reports that replies are expected soon, so that the loop should yield rather than sleep.
func (w *Worker) working() bool { return w.threads.running.Load() > 0 }

// ran notes that a call has ended, or is not waited for any more.
func (w *Worker) ran() {
	w.threads.running.Add(-1)
	w.turns.give()
}

// workerSpin is how often a worker's loop yields while calls are being served (docs/performance.md).
const workerSpin = 20

// sessionExited tells of the sessions that did not end in time; the slots of others are free already.
func (w *Worker) sessionExited(e supervision.Exited) {
	if abandoned, ok := e.Reason.(supervision.Abandoned); ok {
		w.hub.logger.Error("a session did not end and is left behind on its thread", "session", e.ID, "after", abandoned.After)
	}
}
