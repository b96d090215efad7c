package assigner

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

// Broker gives hits to workers and passes their calls. Its methods are safe for concurrent use.
type Broker struct {
	lister      lister // of its tree
	cfg         BrokerConfig
	incarnation string
	system      *actor.ActorSystem
	loop        *bridge.Loop
	house       *actors.House
	tree        *supervision.Tree
	pid         *actor.PID
	clients     door
	workers     door
	gate        *gate // nil without keys
	sentry      *sentry
	served      chan error // what the loop ended with
	ending      ending
}

// NewBroker returns a broker that is not started yet. The error names the field of the config that cannot be used.
func NewBroker(cfg BrokerConfig) (*Broker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	g, err := openGate(cfg.Keys, cfg.Logger)
	if err != nil {
		return nil, err
	}
	var b [8]byte
	_, _ = rand.Read(b[:])
	return &Broker{cfg: cfg, incarnation: hex.EncodeToString(b[:]), served: make(chan error, 1), ending: newEnding(), gate: g}, nil
}

// Serve starts the broker, runs it until ctx ends or a part of it fails, and stops it.
func (b *Broker) Serve(ctx context.Context) error {
	if err := b.Start(ctx); err != nil {
		return err
	}
	failed := b.Wait(ctx)
	if errors.Is(failed, ErrHung) {
		return failed // nothing can be closed in order any more
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*b.cfg.Stop)
	defer cancel()
	return b.Close(stop)
}

// Start binds the endpoints and starts the broker. When it returns without an error, peers can connect. The error is an
// *zmqsock.EndpointError where an endpoint cannot be bound. It is called once, before all other methods but Name, Done and Close.
func (b *Broker) Start(ctx context.Context) error {
	if b.loop != nil || b.ending.asked.Load() {
		return errors.New("assigner: the broker was started or closed before: make a new one")
	}
	b.system = b.cfg.System
	if b.system == nil {
		b.system = quietSystem(b.cfg.Logger)
	}
	loop, err := bridge.New(bridge.Config{
		System: b.system, Logger: b.cfg.Logger, Context: b.cfg.Context, MaxBody: b.cfg.MaxBody, Window: b.cfg.Window,
		Heartbeat: b.cfg.Heartbeat, Silence: b.cfg.Silence, PerFrame: b.cfg.PerFrame, Poison: b.cfg.Poison,
	})
	if err != nil {
		return err
	}
	b.loop = loop
	b.sentry = newSentry(b.cfg.Watch, b.cfg.Logger)
	go func() { b.served <- loop.Serve(context.Background()) }()
	b.sentry.overLoop("troupe-"+b.incarnation, loop)
	if err := b.populate(ctx); err != nil {
		_ = b.Close(ctx)
		return err
	}
	if b.gate != nil && b.gate.guard != nil {
		b.gate.started = true
		go b.gate.watch(b.loop, b.authorize)
	}
	return nil
}

// populate starts the tree of actors on the loop, then opens the endpoints.
func (b *Broker) populate(ctx context.Context) error {
	b.house = actors.NewHouse(b.system, actors.Ports{
		Outbox: b.loop.Outbox(), Directory: b.loop.Directory(), Peers: b.loop, Now: b.loop.Now, Elapsed: b.loop.Elapsed,
		NewTimer: func(pid *actor.PID, msg any) actors.Timer { return b.loop.NewTimer(pid, msg) }, Logger: b.cfg.Logger,
		Tree: b.lister.list,
	})
	name := "troupe-" + b.incarnation
	spec := b.house.Spec(name, b.machineConfig(), b.loop.Dispatcher(), b.cfg.Stop)
	spec.Children = append(spec.Children, b.sentry.pulses(b.loop)...)
	spec.Children = append(spec.Children, embedded(b.cfg.Children, b.cfg.Watch.Child)...)
	spec.Watchdog = b.sentry.Watchdog
	tree, err := supervision.Start(ctx, b.system, spec)
	if err != nil {
		return fmt.Errorf("assigner: the broker's actors did not start: %w", err)
	}
	b.tree, b.lister.tree = tree, tree.List
	status, err := tree.List(ctx)
	if err != nil {
		return fmt.Errorf("assigner: the broker's actors did not start: %w", err)
	}
	return onLoop(ctx, b.loop, func() error {
		if b.pid, err = b.house.Adopt(status); err != nil {
			return err
		}
		return b.bind()
	})
}

func (b *Broker) machineConfig() machine.BrokerConfig {
	var seed [4]byte
	_, _ = rand.Read(seed[:])
	return machine.BrokerConfig{
		Name: b.cfg.Name, Incarnation: b.incarnation, MaxBody: b.cfg.MaxBody, Heartbeat: b.cfg.Heartbeat,
		MaxQueue: b.cfg.MaxQueue, MaxWait: b.cfg.MaxWait, MaxCalls: uint32(b.cfg.MaxCalls), Grace: b.cfg.Grace, Ask: b.cfg.Ask,
		Admin: b.cfg.adminAllowed(), Epoch: binary.BigEndian.Uint32(seed[:]), Counters: b.Counters,
		Book: b.gate.initialBook(), User: b.loop.User,
		Lease: b.cfg.Silence * 2 / 3, Token: newToken,
		Policy: b.cfg.policy, Pick: pick,
		Repair: b.cfg.Repair.of, MaxMoves: b.cfg.Repair.MaxMoves, MoveHit: b.cfg.Repair.MaxHit, MoveAll: b.cfg.Repair.MaxAll,
		MinWorkers: b.cfg.minWorkers, MaxKeep: b.cfg.Tasks.MaxKeep, KeepMemory: b.cfg.Tasks.Memory, MaxTasks: b.cfg.Tasks.Most,
		MaxResume: b.cfg.MaxResume, MaxKept: b.cfg.MaxKept, Silence: b.cfg.Silence, Judges: true, Stuck: max(b.cfg.Stuck, 0),
		ActorName: func(h uint64) string {
			if pid := b.loop.Directory().Lookup(h); pid != nil {
				return pid.Id
			}
			return ""
		},
	}
}

// newToken makes the one-time token of a direct hit.
func newToken() (t [machine.TokenSize]byte) {
	_, _ = rand.Read(t[:])
	return t
}

func (b *Broker) bind() error {
	var err error
	if b.workers, err = b.openDoor(b.cfg.Workers, bridge.EndpointConfig{Keeper: b.pid, Accept: fromWorkers, Heartbeats: true, Judged: true}); err != nil {
		return err
	}
	b.clients, err = b.openDoor(b.cfg.Clients, bridge.EndpointConfig{Keeper: b.pid, Accept: fromClients, HangUp: true})
	return err
}

var (
	fromClients = []wire.Type{wire.Hello, wire.Open, wire.Call, wire.Cancel, wire.Close, wire.Ping, wire.Pong, wire.Credit, wire.Admin, wire.Bye, wire.Error, wire.Resume, wire.Ack, wire.Detach, wire.Probe, wire.Part}
	fromWorkers = []wire.Type{wire.Ready, wire.Opened, wire.Reply, wire.Working, wire.Error, wire.Ended, wire.Changed, wire.Ping, wire.Pong, wire.Credit, wire.Bye, wire.Renew, wire.Tally, wire.Hold, wire.Probe, wire.Vitals, wire.Part}
	// What brokers say to clients and to workers.
	toClients = []wire.Type{wire.Welcome, wire.Opened, wire.Reply, wire.Working, wire.Error, wire.Closed, wire.Ping, wire.Pong, wire.Report, wire.Bye, wire.Resumed, wire.Vitals, wire.Part, wire.Credit, wire.Moved}
	toWorkers = []wire.Type{wire.Welcome, wire.Begin, wire.Call, wire.Cancel, wire.End, wire.Error, wire.Ping, wire.Pong, wire.Bye, wire.Grant, wire.Probe, wire.Vitals, wire.Part, wire.Credit, wire.Moved}
)

// ClientEndpoints returns where clients can connect, with the ports that were chosen.
func (b *Broker) ClientEndpoints() []string { return slices.Clone(b.clients.addrs) }

// WorkerEndpoints returns where workers can connect, with the ports that were chosen.
func (b *Broker) WorkerEndpoints() []string { return slices.Clone(b.workers.addrs) }

// Name returns what the broker calls itself.
func (b *Broker) Name() string { return b.cfg.Name }

// Done is closed when the broker has been closed.
func (b *Broker) Done() <-chan struct{} { return b.ending.done }

// Wait returns nil when ctx ends or the broker is closed, and before that an error when a part of it has failed.
func (b *Broker) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-b.ending.done:
		return nil
	case <-b.gate.broken():
		return b.ending.unless(fmt.Errorf("assigner: the broker's keys: %w", b.gate.guard.Err()))
	case <-b.sentry.hung():
		return ErrHung
	case <-b.tree.Done():
		return b.ending.unless(b.tree.Err())
	case <-b.loop.Done():
		return b.ending.unless(errors.New("assigner: the broker's loop has ended"))
	}
}

// Drain makes the broker take no new hits and waits until the open ones have ended.
func (b *Broker) Drain(ctx context.Context) error {
	done := make(chan struct{})
	b.system.Root.Send(b.pid, &actors.Drain{Done: func() { close(done) }})
	select {
	case <-done:
		return nil
	case <-b.tree.Done():
		return b.tree.Err()
	case <-ctx.Done():
		return fmt.Errorf("assigner: hits are still open: %w", context.Cause(ctx))
	}
}

// Close tells all peers that the broker leaves, stops its actors and closes its sockets. It returns what failed: a part that did not stop in time is named.
func (b *Broker) Close(ctx context.Context) error {
	return b.ending.come(ctx, func() error { return b.close(ctx) })
}

func (b *Broker) close(ctx context.Context) error {
	var errs []error
	b.gate.close()
	defer b.lister.close()
	defer b.sentry.close()
	if b.tree != nil {
		b.farewell(ctx)
		if b.tree.Reason() != nil {
			errs = append(errs, b.tree.Err())
		}
		errs = append(errs, b.tree.Stop(ctx))
	}
	if b.loop != nil {
		errs = append(errs, b.loop.Close(ctx))
		select {
		case err := <-b.served:
			errs = append(errs, err)
		default:
		}
	}
	return joined(errs)
}

func (b *Broker) farewell(ctx context.Context) {
	if b.pid == nil {
		return
	}
	said := make(chan struct{})
	b.system.Root.Send(b.pid, &actors.Farewell{Done: func() { close(said) }})
	limit := time.NewTimer(b.cfg.Stop)
	defer limit.Stop()
	select {
	case <-said:
	case <-b.tree.Done():
	case <-b.loop.Done():
	case <-limit.C:
	case <-ctx.Done():
	}
}

// Administer carries out an admin request: status, hit.list, hit.kill or worker.list. The answer is what REPORT carries as JSON.
func (b *Broker) Administer(ctx context.Context, r machine.AdminRequest) (any, error) {
	got := make(chan any, 1)
	b.system.Root.Send(b.pid, &actors.Administer{Request: r, Reply: func(a any) { got <- a }})
	select {
	case a := <-got:
		return a, nil
	case <-b.tree.Done():
		return nil, errors.New("assigner: the broker has ended")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
