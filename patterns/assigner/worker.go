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
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
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

// WorkerConfig says what a worker offers. Broker and Services are required; the other zero values are the documented defaults.
type WorkerConfig struct {
	Broker   string             // the broker's endpoint for workers; default DefaultWorkers
	Name     string             // unique at the broker; default: host name and process id
	Key      string             // the one string that `troupe keys add` has printed, for a broker with keys; as ClientConfig.Key
	Slots    int                // hits served at the same time; default 8
	Services map[string]Service // by name
	// Heartbeat is how often the worker's ZeroMQ thread shows the broker that its process runs, and Silence after how long without that either end gives
	// the connection up; defaults 1 s and 3 s.
	Heartbeat, Silence time.Duration
	// Stop is how long an idle part, or a session that is asked to end, may take to stop; default 5 s.
	Stop time.Duration

	System  *actor.ActorSystem // default: one of the worker's own
	Logger  *slog.Logger       // default: slog.Default()
	Context *zmqsock.Context   // default: shared by all of the process, which inproc endpoints need
	// MaxBody is the largest body taken from the broker, bytes. A broker that passes larger ones is refused; default: none is.
	MaxBody int
	// PerFrame uses the ZeroMQ binding's per-frame calls in place of the batch shim.
	PerFrame bool
}

// Validate reports the first field that cannot be used.
func (c *WorkerConfig) Validate() error {
	if err := zmqsock.CheckEndpoint("connect", c.Broker); err != nil {
		return err
	}
	switch {
	case len(c.Services) == 0:
		return errors.New("assigner: WorkerConfig.Services is empty: offer at least one service")
	case c.Slots < 1 || c.Slots > wire.MaxSlots:
		return fmt.Errorf("assigner: WorkerConfig.Slots is %d: from 1 to %d are possible", c.Slots, wire.MaxSlots)
	case len(c.Name) > wire.MaxName:
		return fmt.Errorf("assigner: WorkerConfig.Name has %d bytes: at most %d are possible", len(c.Name), wire.MaxName)
	case c.Stop < 0 || c.MaxBody < 0 || c.Heartbeat < 0 || c.Silence < 0:
		return fmt.Errorf("assigner: WorkerConfig.Stop %v, MaxBody %d, Heartbeat %v, Silence %v: none may be negative", c.Stop, c.MaxBody, c.Heartbeat, c.Silence)
	}
	for name, s := range c.Services {
		if err := wire.CheckService([]byte(name)); err != nil {
			return fmt.Errorf("assigner: WorkerConfig.Services: %w", err)
		}
		if err := s.validate(name); err != nil {
			return err
		}
	}
	return checkKey("WorkerConfig.Key", c.Key)
}

func (c WorkerConfig) withDefaults() WorkerConfig {
	def(&c.Broker, DefaultWorkers)
	def(&c.Slots, 8)
	def(&c.Stop, 5*time.Second)
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
	link        *link
	sessions    *actor.PID       // supervisor of slots
	pool        *host.Goroutines // of slots without threads of their own
	threads     threadPool
	welcomed    chan struct{} // closed at the first WELCOME
	once        sync.Once
	registered  bool // on the present connection; the loop's
	ending      ending

	maxBody atomic.Int64 // the broker's

	mu       sync.Mutex
	slots    map[uint64]*slot // hits of the present connection, by handle
	orphans  map[*slot]bool   // slots still in use for hits of earlier connections
	busy     int              // slots in use, those of earlier connections included
	idle     chan struct{}    // closed when busy falls to zero while draining
	leaving  bool             // BYE is said
	draining bool             // no BEGIN can follow any more, or none is taken
	peer     wire.Peer        // the present connection
}

// NewWorker returns a worker that is not started yet.
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	var b [8]byte
	_, _ = rand.Read(b[:])
	return &Worker{
		cfg: cfg, incarnation: hex.EncodeToString(b[:]), slots: make(map[uint64]*slot), welcomed: make(chan struct{}),
		idle: make(chan struct{}), ending: newEnding(),
	}, nil
}

// Serve starts the worker and runs it until ctx ends, the broker refuses it for ever, or a part of it fails; then it closes the worker.
func (w *Worker) Serve(ctx context.Context) error {
	if err := w.Start(ctx); err != nil {
		return err
	}
	failed := w.Wait(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*w.cfg.Stop)
	defer cancel()
	return joined([]error{failed, w.Close(stop)})
}

// Start connects to the broker and begins to serve. It does not wait for the broker, which may be started later; Welcomed does. It is called
// once, before all other methods but Name and Close.
func (w *Worker) Start(ctx context.Context) error {
	if w.link != nil || w.ending.asked.Load() {
		return errors.New("assigner: the worker was started or closed before: make a new one")
	}
	err := w.start(ctx)
	if err != nil {
		_ = w.Close(ctx)
	}
	return err
}

func (w *Worker) start(ctx context.Context) error {
	w.pool = host.GoroutinePool(slotThroughput, min(w.cfg.Slots, maxParked))
	sessions := supervision.Supervisor(sessionsChild, supervision.Spec{
		Shutdown: w.cfg.Stop, OnExit: w.sessionExited,
		ChildOptions: []actor.PropsOption{actor.WithDispatcher(w.pool), actor.WithMailbox(slotMailbox)},
	})
	l, err := startLink(ctx, linkConfig{
		heartbeat: w.cfg.Heartbeat, silence: w.cfg.Silence,
		broker: w.cfg.Broker, key: w.cfg.Key, accept: toWorkers, system: w.cfg.System, logger: w.cfg.Logger, context: w.cfg.Context,
		maxBody: w.cfg.MaxBody, perFrame: w.cfg.PerFrame, name: "troupe-worker-" + w.incarnation, stop: w.cfg.Stop,
		children: []supervision.ChildSpec{sessions}, spin: workerSpin, busy: w.working,
	}, (*workerSide)(w))
	if err != nil {
		return err
	}
	w.link = l
	if w.sessions, err = l.child(ctx, sessionsChild); err != nil {
		return err
	}
	return l.begin(ctx)
}

const (
	sessionsChild = "sessions"
	maxParked     = 256 // goroutines kept for slots without threads of their own
)

// Welcomed is closed when a broker has registered the worker for the first time.
func (w *Worker) Welcomed() <-chan struct{} { return w.welcomed }

// Failed is closed when the broker refused the worker for ever; Serve returns the reason.
func (w *Worker) Failed() <-chan struct{} { return w.link.failed }

// Name returns the name the worker registers under.
func (w *Worker) Name() string { return w.cfg.Name }

// Busy returns how many slots are in use.
func (w *Worker) Busy() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.busy
}

// Drain tells the broker to send no new hits and waits until the open ones have ended.
func (w *Worker) Drain(ctx context.Context) error {
	w.mu.Lock()
	w.leaving = true
	w.mu.Unlock()
	_ = w.link.onLoop(ctx, func() error { (*workerSide)(w).leave(); return nil })
	select {
	case <-w.idle:
		return nil
	case <-w.ending.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("assigner: %d hits are still open: %w", w.Busy(), context.Cause(ctx))
	}
}

// leave says BYE, and PING behind it: hits that were on their way are served, and after the PONG none can come.
func (s *workerSide) leave() {
	w := (*Worker)(s)
	if !w.registered {
		s.quit()
		return
	}
	_ = w.link.ep.Sender().Send(&wire.Header{Type: wire.Bye})
	_ = w.link.ep.Sender().Send(&wire.Header{Type: wire.Ping, Arg: lastWord})
}

// The PINGs behind BYE. The broker may answer the first one before its actors have seen BYE, the second one never.
const (
	lastWord = 0x42594521 + iota
	veryLastWord
)

func (s *workerSide) parting(arg uint32) {
	switch arg {
	case lastWord:
		_ = s.link.ep.Sender().Send(&wire.Header{Type: wire.Ping, Arg: veryLastWord})
	case veryLastWord:
		s.quit()
	}
}

// quit takes no further hits.
func (s *workerSide) quit() {
	w := (*Worker)(s)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	if w.busy == 0 {
		w.idled()
	}
}

// Close cancels what runs, ends all sessions on their threads, and stops. Sessions that do not come back in time, say from native code,
// are named in the error and left behind on their threads.
func (w *Worker) Close(ctx context.Context) error {
	return w.ending.come(ctx, func() error { return w.close(ctx) })
}

func (w *Worker) close(ctx context.Context) error {
	if w.link == nil {
		return nil // it has not been started
	}
	w.mu.Lock()
	w.draining = true
	for _, s := range w.slots {
		s.cancel(0, w.link.loop.Now()+time.Hour)
	}
	w.mu.Unlock()
	err := w.link.close(ctx)
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
	case <-w.link.failed:
		return w.ending.unless(w.link.err)
	case <-w.link.tree.Done():
		return w.ending.unless(w.link.tree.Err())
	case <-w.link.loop.Done():
		return w.ending.unless(errors.New("assigner: the worker's loop has ended"))
	}
}

// working reports that replies are expected soon, so that the loop should yield rather than sleep.
func (w *Worker) working() bool { return w.threads.running.Load() > 0 }

// workerSpin is how often a worker's loop yields while calls are being served (docs/performance.md).
const workerSpin = 20

// workerSide is the worker as its registrar sees it, on the loop.
type workerSide Worker

func (s *workerSide) greet() {
	w := (*Worker)(s)
	names := make([]string, 0, len(w.cfg.Services))
	kind := "shared"
	for n, svc := range w.cfg.Services {
		names = append(names, n)
		if svc.Threads == Pinned {
			kind = "pinned"
		}
	}
	slices.Sort(names)
	machine, _ := os.Hostname()
	w.mu.Lock()
	defer w.mu.Unlock() // after READY is on its way: the ENDED of an orphan that it counts must come behind it
	if w.leaving {
		return // it would be given hits
	}
	w.peer = w.link.ep.Broker()
	for o := range w.orphans {
		o.counted = w.peer
	}
	_ = w.link.ep.Sender().Send(&wire.Header{Type: wire.Ready}, wire.JSON(wire.ReadyInfo{
		Name: w.cfg.Name, Services: names, Slots: w.cfg.Slots,
		Busy: min(len(w.orphans), w.cfg.Slots), PID: os.Getpid(), Host: machine, Incarnation: w.incarnation, Lang: "go", Threads: kind,
	}))
}

func (s *workerSide) usable(info wire.WelcomeInfo) {
	w := (*Worker)(s)
	w.mu.Lock()
	leaving := w.leaving
	w.mu.Unlock()
	w.registered = true
	w.maxBody.Store(info.MaxBody)
	w.link.logger.Info("registered", "broker", info.Broker, "worker", w.cfg.Name, "slots", w.cfg.Slots)
	w.once.Do(func() { close(w.welcomed) })
	if leaving {
		s.leave()
	}
}

// lost ends all sessions of the connection that is gone: their threads are told, and close them when they come back.
func (s *workerSide) lost(reason string) {
	w := (*Worker)(s)
	old := w.disown()
	w.mu.Lock()
	leaving := w.leaving
	w.mu.Unlock()
	w.registered = false
	if leaving {
		s.quit()
	}
	if len(old) > 0 {
		w.link.logger.Warn("the broker is lost, sessions are ended", "reason", reason, "sessions", len(old))
	}
	for _, sl := range old {
		sl.orphan()
	}
}

func (s *workerSide) failed(status wire.Status, reason string) {
	s.link.logger.Error("the broker refuses this worker", "status", status.String(), "reason", reason)
}

// message takes what names no session: BEGIN, CANCEL, and what comes too late.
func (s *workerSide) message(m *wire.Message) {
	w := (*Worker)(s)
	switch m.Header.Type {
	case wire.Begin:
		w.begin(m.Copy())
	case wire.Pong:
		s.parting(m.Header.Arg)
	case wire.Cancel:
		w.mu.Lock()
		sl := w.slots[m.Header.Hit]
		w.mu.Unlock()
		if sl != nil && sl.epoch == m.Header.Epoch {
			sl.cancel(m.Header.Seq, m.At)
		}
	case wire.End:
		if w.forward(m) {
			return
		}
		h := wire.Header{Type: wire.Ended, Status: wire.UnknownHit, Hit: m.Header.Hit, Epoch: m.Header.Epoch}
		_ = w.link.ep.Sender().Send(&h)
	case wire.Call:
		h := wire.Header{Type: wire.Error, Status: wire.UnknownHit, Hit: m.Header.Hit, Epoch: m.Header.Epoch, Seq: m.Header.Seq, Arg: uint32(wire.NeverStarted)}
		_ = w.link.ep.Sender().Send(&h, []byte("this worker has no such session"))
	case wire.Error:
		w.link.logger.Warn("the broker refused a message", "status", m.Header.Status.String(), "text", string(m.Frame(0)))
	}
}

// sessionExited tells of the sessions that did not end in time; the slots of others are free already.
func (w *Worker) sessionExited(e supervision.Exited) {
	if abandoned, ok := e.Reason.(supervision.Abandoned); ok {
		w.link.logger.Error("a session did not end and is left behind on its thread", "session", e.ID, "after", abandoned.After)
	}
}
