package actors

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

// brokerActor hosts the machine that knows everybody and sees no call.
type brokerActor struct {
	house   *House
	broker  *machine.Broker
	timer   Timer
	workers map[*machine.Worker]*worker
	early   map[*machine.Hit][]any // events for hits whose actors are not up yet, in order
}

// worker is what the broker's actor knows of a worker's.
type worker struct {
	pid   *actor.PID // nil: it is not up yet
	early []any      // events for it until then, in order
}

type (
	tick    struct{} // the time a machine asked for has come
	hitOver struct {
		hit    *machine.Hit
		status wire.Status
	}
	retell   struct{ hit *machine.Hit } // there are early events for it
	workerUp struct {                   // a worker's actor is up
		worker *machine.Worker
		pid    *actor.PID
	}
	dismiss struct{} // a worker's actor is not needed any more
	cut     struct { // a peer has had time to read why
		peer wire.Peer
		text string
	}
	crashed struct { // an actor ended with a panic
		worker bool
		id     uint64 // handle of the hit, or peer of the worker
		what   string
	}
)

// Administer asks the broker's actor for what ADMIN asks for, within the process. Reply is called on the loop.
type Administer struct {
	Request machine.AdminRequest
	Reply   func(answer any)
}

// Authorize gives the broker another book of who may what.
type Authorize struct{ Book *access.Book }

// lastWords is how long a peer whose key was revoked has for reading so, before its connection is ended.
const lastWords = 50 * time.Millisecond

// Drain makes the broker take no new hits. Done is called on the loop when the open ones have ended.
type Drain struct{ Done func() }

// Farewell tells every peer that the broker leaves.
type Farewell struct{ Done func() }

// Receive is the engine's.
func (a *brokerActor) Receive(ctx actor.Context) {
	h := a.house
	switch m := ctx.Message().(type) {
	case *wire.Message:
		a.run(ctx, a.broker.Message(h.now(), m, h.take()))
	case *hitOver:
		a.run(ctx, a.broker.Ended(h.now(), m.hit, m.status, h.take()))
	case *report:
		a.run(ctx, a.broker.Report(h.now(), m.event, h.take()))
		a.dismiss(ctx, m.event)
	case *retell:
		a.retell(ctx, m.hit)
	case *wire.PeerGone:
		a.run(ctx, a.broker.Lose(h.now(), m, h.take()))
	case *tick:
		a.run(ctx, a.broker.Tick(h.now(), h.take()))
	case *crashed:
		a.crashed(ctx, m)
	default:
		a.rare(ctx)
	}
}

func (a *brokerActor) rare(ctx actor.Context) {
	h := a.house
	switch m := ctx.Message().(type) {
	case *actor.Started:
		h.broker = ctx.Self()
		a.timer = h.ports.NewTimer(ctx.Self(), &tick{})
	case *actor.Stopping:
		a.timer.Stop()
	case *workerUp:
		a.workerUp(ctx, m)
	case *Administer:
		answer, fx := a.broker.Administer(h.now(), m.Request, h.take())
		a.run(ctx, fx)
		m.Reply(answer)
	case *Drain:
		h.drained = append(h.drained, m.Done)
		a.run(ctx, a.broker.Drain(h.now(), h.take()))
	case *Farewell:
		a.run(ctx, a.broker.Farewell(h.take()))
		m.Done()
	case *Authorize:
		a.run(ctx, a.broker.Authorize(m.Book, h.take()))
	case *surveyed:
		_ = h.ports.Outbox.Send(m.to, m.head, wire.JSON(a.broker.Tree(m.tree, m.err)))
	case *cut:
		h.ports.Peers.HangUp(m.peer, "revoked", m.text)
	case Fault:
		panic(m.Text)
	}
}

func (a *brokerActor) run(ctx actor.Context, fx []machine.Effect) {
	for i := 0; i < len(fx); i++ {
		if e := &fx[i]; e.Kind == machine.Sound {
			silent, known, coarse := a.house.ports.Peers.Silent(e.To)
			fx = a.broker.Sounded(a.house.now(), e.To, silent, known, coarse, fx)
			continue
		}
		a.effect(ctx, &fx[i])
	}
	a.house.give(fx)
	if at := a.broker.Deadline(); at > 0 {
		a.timer.Set(at)
	} else {
		a.timer.Stop()
	}
	if len(a.house.drained) > 0 && a.broker.Drained() {
		waiting := a.house.drained
		a.house.drained = nil
		for _, done := range waiting {
			done()
		}
	}
}

func (a *brokerActor) effect(ctx actor.Context, e *machine.Effect) {
	switch e.Kind {
	case machine.Send:
		a.house.send(e)
	case machine.Forward: // what was kept for a client; its loss tells what does not reach it
		_ = a.house.ports.Outbox.Forward(e.To, e.Header, e.Msg)
	case machine.Count:
		a.house.count(e.Status)
	case machine.Spawn:
		a.spawn(ctx, e)
	case machine.Tell:
		a.tell(ctx, e.Hit, e.Event)
	case machine.Enroll:
		a.house.ports.Logger.Info("worker registered", "worker", e.Worker.Name, "services", len(e.Worker.Info.Services), "slots", e.Worker.Info.Slots,
			"pid", e.Worker.Info.PID, "host", e.Worker.Info.Host)
		a.workers[e.Worker] = &worker{}
		ctx.Send(a.house.workers, &supervision.StartTemporary{
			ID:    strconv.FormatUint(uint64(e.To), 16),
			Actor: &workerActor{house: a.house, worker: e.Worker},
		})
	case machine.HangUp:
		detector := "crashed"
		if y, judged := e.Event.(*machine.Why); judged {
			detector = y.Detector
		}
		a.house.ports.Peers.HangUp(e.To, detector, e.Text)
	case machine.Note:
		a.note(e.Event)
	case machine.Survey:
		a.survey(ctx.Self(), e)
	case machine.Cut:
		a.house.ports.Logger.Warn("a peer's key is revoked", "peer", fmt.Sprintf("%x", e.To), "reason", e.Text)
		a.house.ports.NewTimer(ctx.Self(), &cut{e.To, e.Text}).Set(a.house.now() + lastWords)
	case machine.Report:
		ctx.Send(ctx.Self(), &report{e.Event})
	case machine.Ask:
		a.ask(ctx, e.Worker, e.Event)
	default:
		panic(fmt.Sprintf("actors: a broker has no effect of kind %d", e.Kind))
	}
}

// spawn gives a hit to an actor that rests, or to a new one.
func (a *brokerActor) spawn(ctx actor.Context, e *machine.Effect) {
	h := a.house
	e.Msg.Retain() // until begin has been handled
	first := &begin{e.Hit, e.Msg, e.Header.Arg}
	if n := len(h.resting); n > 0 {
		pid := h.resting[n-1]
		h.resting = h.resting[:n-1]
		ctx.Send(pid, first)
		return
	}
	h.spawned++
	ctx.Send(h.hits, &supervision.StartTemporary{ID: strconv.FormatUint(h.spawned, 10), Actor: &hitActor{house: h}, First: first})
}

// tell hands an event to a hit's actor; if that is not up yet, the event waits for it.
func (a *brokerActor) tell(ctx actor.Context, hit *machine.Hit, event any) {
	if len(a.early) > 0 && a.early[hit] != nil {
		a.early[hit] = append(a.early[hit], kept(event)) // it may be up, but what came earlier goes first
		return
	}
	if pid := a.house.ports.Directory.Lookup(hit.Handle); pid != nil {
		ctx.Send(pid, event)
		return
	}
	if hit.State != machine.Ended {
		a.early[hit] = []any{kept(event)}
		ctx.Send(ctx.Self(), &retell{hit})
	}
}

// retell hands over what has waited for a hit's actor, or goes round once more. Where the hit has ended, what crosses its end is dropped.
func (a *brokerActor) retell(ctx actor.Context, hit *machine.Hit) {
	pid := a.house.ports.Directory.Lookup(hit.Handle)
	if pid == nil && hit.State != machine.Ended {
		ctx.Send(ctx.Self(), &retell{hit})
		return
	}
	events := a.early[hit]
	delete(a.early, hit)
	if pid != nil {
		sendAll(ctx, pid, events)
		return
	}
	for _, e := range events {
		if m, ok := e.(*wire.Message); ok && m.Header.Type == wire.Resume { // its actor has crashed; who resumes is to hear of that
			a.run(ctx, a.broker.Message(a.house.now(), m, a.house.take()))
		}
	}
}

// ask hands an event to a worker's actor; if that is not up yet, the event waits for it.
func (a *brokerActor) ask(ctx actor.Context, m *machine.Worker, event any) {
	switch w := a.workers[m]; {
	case w == nil: // it is lost
	case w.pid != nil:
		ctx.Send(w.pid, event)
	default:
		w.early = append(w.early, relayed(event))
	}
}

func sendAll(ctx actor.Context, pid *actor.PID, events []any) {
	for _, e := range events {
		ctx.Send(pid, e)
	}
}

// kept makes an event last: a message borrows its bytes.
func kept(event any) any {
	if m, ok := event.(*wire.Message); ok && m.Lease != nil {
		return m.Copy()
	}
	return event
}

// workerUp gives a worker's actor what was said by way of this one. All of it is older than what the worker says from now on, since its connection was
// attached to the new actor before this message was sent.
func (a *brokerActor) workerUp(ctx actor.Context, m *workerUp) {
	w := a.workers[m.worker]
	if w == nil {
		ctx.Send(m.pid, &dismiss{})
		return
	}
	w.pid = m.pid
	sendAll(ctx, m.pid, w.early)
	w.early = nil
	ctx.Send(m.pid, &settled{})
}

// dismiss lets the actor of a lost worker go, after the machine has forgotten its name: no challenge can follow.
func (a *brokerActor) dismiss(ctx actor.Context, event any) {
	var w *machine.Worker
	switch e := event.(type) {
	case *machine.WorkerDown:
		w = e.Worker
		a.house.ports.Logger.Warn("worker lost", "worker", w.Name, "verdict", e.Why.Verdict, "detector", e.Why.Detector, "detail", e.Why.Measured, "why", string(e.Why.JSON()))
	case *machine.Yielded:
		w = e.Worker
	default:
		return
	}
	if known := a.workers[w]; known != nil && known.pid != nil {
		ctx.Send(known.pid, &dismiss{})
	}
	delete(a.workers, w)
}

// crashed takes the death of a hit's or a worker's actor.
func (a *brokerActor) crashed(ctx actor.Context, m *crashed) {
	a.house.ports.Logger.Error("an actor crashed", slog.Bool("worker", m.worker), slog.String("id", strconv.FormatUint(m.id, 16)), slog.String("reason", m.what))
	if !m.worker {
		a.run(ctx, a.broker.Crashed(a.house.now(), m.id, m.what, a.house.take()))
		return
	}
	for w := range a.workers {
		if w.Peer == wire.Peer(m.id) {
			delete(a.workers, w)
			a.run(ctx, a.broker.WorkerCrashed(a.house.now(), w, m.what, a.house.take()))
			return
		}
	}
}
