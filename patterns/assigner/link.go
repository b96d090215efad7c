package assigner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors/host"
	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/supervision"
)

// hub is what a client or worker has once, however many brokers it speaks to: a loop with a DEALER for each of them, and a tree of actors.
type hub struct {
	system *actor.ActorSystem
	logger *slog.Logger
	loop   *bridge.Loop
	tree   *supervision.Tree
	sentry *sentry
	served chan error
	zero   time.Time // when the loop's clock began
	links  []*link
}

// link is the connection to one broker, and the registration there.
type link struct {
	*hub
	broker    string
	ep        *bridge.Endpoint
	pid       *actor.PID // the registrar's
	registrar *registrar
	failed    chan struct{} // closed when the broker refused us for ever
	fail      sync.Once
	err       error
	maxBody   int64 // largest body taken, bytes
	key       string
	ends      func(*wire.Message)

	beat, silence time.Duration // of the transport's heartbeats; how long the broker may be silent
}

// anyBody is more than any broker passes.
const anyBody = 1 << 30

type hubConfig struct {
	brokers []brokerSide
	key     string
	accept  []wire.Type
	system  *actor.ActorSystem
	logger  *slog.Logger
	context *zmqsock.Context
	maxBody int
	spin    int

	heartbeat, silence time.Duration
	mute               bool // the brokers send heartbeats, and theirs are enough

	busy     func() bool
	perFrame bool
	name     string
	children []supervision.ChildSpec
	own      []supervision.ChildSpec // the embedder's
	watch    WatchConfig
	stop     time.Duration
}

// brokerSide is a broker to connect to, and who is registered there.
type brokerSide struct {
	broker string
	side   peerSide
	ends   func(*wire.Message) // hears of END before the slot that it is for; nil: nobody
}

// peerSide is what a registrar needs from the client or worker it registers. All methods run on the loop.
type peerSide interface {
	greet() // sends HELLO or READY
	usable(w wire.WelcomeInfo)
	lost(reason string)
	failed(status wire.Status, reason string)
	message(m *wire.Message) // of everything else
}

// startHub starts loop and tree and connects to all brokers. The registrars greet when begin is called and there is a connection.
func startHub(ctx context.Context, cfg hubConfig) (*hub, error) {
	h := &hub{system: cfg.system, logger: cfg.logger, served: make(chan error, 1)}
	if h.logger == nil {
		h.logger = slog.Default()
	}
	if h.system == nil {
		h.system = quietSystem(h.logger)
	}
	if cfg.maxBody == 0 {
		cfg.maxBody = anyBody
	}
	def(&cfg.heartbeat, time.Second)
	def(&cfg.silence, 3*time.Second)
	loop, err := bridge.New(bridge.Config{
		System: h.system, Logger: h.logger, Context: cfg.context, MaxBody: cfg.maxBody, Spin: cfg.spin, Busy: cfg.busy, PerFrame: cfg.perFrame,
		Heartbeat: cfg.heartbeat, Silence: cfg.silence,
	})
	if err != nil {
		return nil, err
	}
	h.loop = loop
	h.sentry = newSentry(cfg.watch, h.logger)
	go func() { h.served <- loop.Serve(context.Background()) }()
	h.sentry.overLoop(cfg.name, loop)
	if err := h.populate(ctx, cfg); err != nil {
		_ = h.close(ctx)
		return nil, err
	}
	return h, nil
}

func (h *hub) populate(ctx context.Context, cfg hubConfig) error {
	options := h.loopOptions()
	children := append([]supervision.ChildSpec{}, cfg.children...)
	for i, b := range cfg.brokers {
		l := &link{hub: h, broker: b.broker, failed: make(chan struct{}), maxBody: int64(cfg.maxBody), key: cfg.key, beat: cfg.heartbeat, silence: cfg.silence}
		l.registrar = &registrar{link: l, side: b.side}
		l.ends = b.ends
		h.links = append(h.links, l)
		id := "registrar"
		if i > 0 {
			id += "-" + strconv.Itoa(i+1)
		}
		children = append(children, supervision.ChildSpec{ID: id, Start: func() actor.Actor { return l.registrar }})
	}
	children = append(children, h.sentry.pulses(h.loop)...)
	children = append(children, embedded(cfg.own, cfg.watch.Child)...)
	none := supervision.Intensity{Restarts: 0, Window: time.Second} // the crash of any part is the end of the hub
	var err error
	h.tree, err = supervision.Start(ctx, h.system, supervision.Spec{
		Name: cfg.name, Options: options, ChildOptions: options, Children: children, Logger: h.logger, Shutdown: cfg.stop,
		Intensity: none, Stamps: host.Stamps, Watchdog: h.sentry.Watchdog,
	})
	if err != nil {
		return fmt.Errorf("assigner: %s: its actors did not start: %w", cfg.name, err)
	}
	return h.onLoop(ctx, func() (err error) {
		h.zero = time.Now().Add(-h.loop.Now())
		for _, l := range h.links {
			if err = l.open(cfg); err != nil {
				return err
			}
		}
		return nil
	})
}

// begin greets the brokers. Until then nothing reaches the client or worker.
func (h *hub) begin(ctx context.Context) error {
	return h.onLoop(ctx, func() error {
		for _, l := range h.links {
			l.registrar.begin()
		}
		return nil
	})
}

func (h *hub) onLoop(ctx context.Context, fn func() error) error { return onLoop(ctx, h.loop, fn) }

// onLoop runs fn on a loop and waits for it.
func onLoop(ctx context.Context, loop *bridge.Loop, fn func() error) error {
	done := make(chan error, 1)
	if !loop.Do(func() { done <- fn() }) {
		return errors.New("assigner: the loop has ended")
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// child returns the PID of a child of the tree.
func (h *hub) child(ctx context.Context, id string) (*actor.PID, error) {
	status, err := h.tree.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("assigner: the actors did not start: %w", err)
	}
	for _, c := range status.Children {
		if c.ID == id {
			return c.PID, nil
		}
	}
	return nil, fmt.Errorf("assigner: the tree has no child %q", id)
}

// loopOptions are those of actors that live on the hub's loop.
func (h *hub) loopOptions() []actor.PropsOption {
	return []actor.PropsOption{actor.WithDispatcher(h.loop.Dispatcher()), actor.WithMailbox(host.Mailbox(host.MailboxConfig{
		Capacity: host.Unbounded,
		Clock:    func() int64 { return int64(h.loop.Now()) }, Now: func() int64 { return int64(h.loop.Elapsed()) },
	}))}
}

// close stops tree and loop; what did not stop in time is named in the error.
func (h *hub) close(ctx context.Context) error {
	var errs []error
	defer h.sentry.close()
	if h.tree != nil {
		errs = append(errs, h.tree.Stop(ctx))
	}
	errs = append(errs, h.loop.Close(ctx))
	select {
	case err := <-h.served:
		errs = append(errs, err)
	default:
	}
	return joined(errs)
}

// open connects to the broker.
func (l *link) open(cfg hubConfig) error {
	curve, err := curveTo(cfg.key, l.broker)
	if err != nil {
		return err
	}
	l.ep, err = l.hub.loop.Open(bridge.EndpointConfig{Connect: l.broker, Keeper: l.pid, Accept: cfg.accept, Curve: curve, Judged: true, Mute: cfg.mute, Ends: l.ends})
	return err
}
