package assigner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-mq/troupe/actors/host"
	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner/machine"
	"github.com/troupe-mq/troupe/supervision"
)

// link is a peer's side of a connection to a broker: a loop with one DEALER, a tree of actors, and the registration. Clients and workers are
// built on it.
type link struct {
	system    *actor.ActorSystem
	logger    *slog.Logger
	loop      *bridge.Loop
	ep        *bridge.Endpoint
	tree      *supervision.Tree
	pid       *actor.PID // the registrar's
	registrar *registrar
	served    chan error
	failed    chan struct{} // closed when the broker refused us for ever
	fail      sync.Once
	err       error
	zero      time.Time // when the loop's clock began
	maxBody   int64     // largest body taken, bytes
}

// anyBody is more than any broker passes.
const anyBody = 1 << 30

type linkConfig struct {
	broker  string
	key     string
	accept  []wire.Type
	system  *actor.ActorSystem
	logger  *slog.Logger
	context *zmqsock.Context
	maxBody int
	spin    int

	heartbeat, silence time.Duration

	busy     func() bool
	perFrame bool
	name     string
	children []supervision.ChildSpec
	stop     time.Duration
}

// peerSide is what a registrar needs from the client or worker it registers. All methods run on the loop.
type peerSide interface {
	greet() // sends HELLO or READY
	usable(w wire.WelcomeInfo)
	lost(reason string)
	failed(status wire.Status, reason string)
	message(m *wire.Message) // of everything else
}

// startLink starts loop and tree and connects. The registrar greets as soon as there is a connection.
func startLink(ctx context.Context, cfg linkConfig, side peerSide) (*link, error) {
	l := &link{system: cfg.system, logger: cfg.logger, served: make(chan error, 1), failed: make(chan struct{})}
	if l.logger == nil {
		l.logger = slog.Default()
	}
	if l.system == nil {
		l.system = quietSystem(l.logger)
	}
	if cfg.maxBody == 0 {
		cfg.maxBody = anyBody
	}
	loop, err := bridge.New(bridge.Config{
		System: l.system, Logger: l.logger, Context: cfg.context, MaxBody: cfg.maxBody, Spin: cfg.spin, Busy: cfg.busy, PerFrame: cfg.perFrame,
		Heartbeat: cfg.heartbeat, Silence: cfg.silence,
	})
	if err != nil {
		return nil, err
	}
	l.loop, l.maxBody = loop, int64(cfg.maxBody)
	go func() { l.served <- loop.Serve(context.Background()) }()
	if err := l.populate(ctx, cfg, side); err != nil {
		_ = l.close(ctx)
		return nil, err
	}
	return l, nil
}

func (l *link) populate(ctx context.Context, cfg linkConfig, side peerSide) error {
	r := &registrar{link: l, side: side}
	options := l.loopOptions()
	children := append([]supervision.ChildSpec{}, cfg.children...)
	children = append(children, supervision.ChildSpec{ID: "registrar", Start: func() actor.Actor { return r }})
	none := supervision.Intensity{Restarts: 0, Window: time.Second} // the crash of any part is the end of the link
	var err error
	l.tree, err = supervision.Start(ctx, l.system, supervision.Spec{
		Name: cfg.name, Options: options, ChildOptions: options, Children: children, Logger: l.logger, Shutdown: cfg.stop,
		Intensity: none,
	})
	if err != nil {
		return fmt.Errorf("assigner: %s: its actors did not start: %w", cfg.name, err)
	}
	l.registrar = r
	curve, err := curveTo(cfg.key, cfg.broker)
	if err != nil {
		return err
	}
	return l.onLoop(ctx, func() (err error) {
		l.zero = time.Now().Add(-l.loop.Now())
		l.ep, err = l.loop.Open(bridge.EndpointConfig{Connect: cfg.broker, Keeper: l.pid, Accept: cfg.accept, Curve: curve})
		return err
	})
}

// begin greets the broker. Until then nothing reaches the client or worker.
func (l *link) begin(ctx context.Context) error {
	return l.onLoop(ctx, func() error {
		l.registrar.do(l.registrar.machine.Start())
		return nil
	})
}

func (l *link) onLoop(ctx context.Context, fn func() error) error { return onLoop(ctx, l.loop, fn) }

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
func (l *link) child(ctx context.Context, id string) (*actor.PID, error) {
	status, err := l.tree.List(ctx)
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

// loopOptions are those of actors that live on the link's loop.
func (l *link) loopOptions() []actor.PropsOption {
	return []actor.PropsOption{actor.WithDispatcher(l.loop.Dispatcher()), actor.WithMailbox(host.Mailbox(host.MailboxConfig{Capacity: host.Unbounded}))}
}

// close stops tree and loop; what did not stop in time is named in the error.
func (l *link) close(ctx context.Context) error {
	var errs []error
	if l.tree != nil {
		errs = append(errs, l.tree.Stop(ctx))
	}
	errs = append(errs, l.loop.Close(ctx))
	select {
	case err := <-l.served:
		errs = append(errs, err)
	default:
	}
	return joined(errs)
}

// registrar hosts the registration and hands on all else.
type registrar struct {
	link    *link
	side    peerSide
	machine machine.Registration
	welcome wire.WelcomeInfo // the last one
	timer   *bridge.Timer
}

type again struct{} // the registration's deadline has come

// Receive is the engine's.
func (r *registrar) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *wire.Message:
		r.message(m)
	case *wire.PeerGone:
		r.do(r.machine.Gone(m.Detail))
	case *again:
		r.do(r.machine.Tick(r.link.loop.Now()))
	case *actor.Started:
		r.link.pid = ctx.Self()
		r.timer = r.link.loop.NewTimer(ctx.Self(), &again{})
	case *actor.Stopping:
		r.timer.Stop()
	}
}

func (r *registrar) message(m *wire.Message) {
	switch m.Header.Type {
	case wire.Welcome:
		r.welcomed(m)
	case wire.Bye:
		r.do(r.machine.Bye(r.link.loop.Now()))
	case wire.Error:
		if m.Header.Hit == 0 || m.Header.Status == wire.NotRegistered {
			r.do(r.machine.Refuse(r.link.loop.Now(), m.Header.Status, string(m.Frame(0))))
		}
		r.side.message(m)
	default:
		r.side.message(m)
	}
}

// welcomed takes WELCOME. What a broker passes must be taken: a reply or call that is refused here would never be answered.
func (r *registrar) welcomed(m *wire.Message) {
	w, err := wire.ParseWelcome(m.Frame(0))
	if err != nil {
		r.link.logger.Error("the broker's WELCOME cannot be read", "error", err)
		return
	}
	if limit := r.link.maxBody; w.MaxBody > limit {
		text := fmt.Sprintf("the broker passes bodies of up to %d bytes, here %d are taken: raise MaxBody (--max-body) to as much, or leave it out", w.MaxBody, limit)
		r.do(r.machine.Refuse(r.link.loop.Now(), wire.TooLarge, text))
		return
	}
	r.welcome = w
	r.do(r.machine.Welcome(w))
}

func (r *registrar) do(actions []machine.Action) {
	for _, a := range actions {
		r.act(a)
	}
	r.arm()
}

func (r *registrar) arm() {
	if at := r.machine.Deadline(); at > 0 {
		r.timer.Set(at)
	} else {
		r.timer.Stop()
	}
}

func (r *registrar) act(a machine.Action) {
	switch a {
	case machine.Greet:
		r.side.greet()
	case machine.Usable:
		r.side.usable(r.welcome)
	case machine.Lost:
		r.side.lost(r.machine.Reason)
	case machine.Reopen:
		r.link.ep.Reopen("said", "the broker said BYE")
	case machine.Fail:
		r.side.failed(r.machine.Status, r.machine.Reason)
		r.link.fail.Do(func() {
			r.link.err = &Error{Status: r.machine.Status, Outcome: NeverStarted, Text: r.machine.Reason}
			close(r.link.failed)
		})
	}
}
