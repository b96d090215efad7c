package assigner

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner/machine"
)

// registrar hosts the registration and hands on all else.
type registrar struct {
	link    *link
	side    peerSide
	machine machine.Registration
	welcome wire.WelcomeInfo // the last one
	timer   *bridge.Timer
	begun   bool // the broker has been greeted
	watch   brokerWatch
}

// begin greets the broker.
func (r *registrar) begin() {
	r.begun = true
	r.watch.begin(r)
	r.do(r.machine.Start())
}

type again struct{} // the registration's deadline has come

// Receive is the engine's.
func (r *registrar) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *wire.Message:
		r.message(m)
	case *wire.PeerGone:
		if r.begun { // else the first greeting goes out on the fresh connection
			r.watch.lost(m)
			r.do(r.machine.Gone(m.Detail))
		}
	case *glance:
		r.watch.look()
	case *again:
		r.do(r.machine.Tick(r.link.loop.Now()))
	case *actor.Started:
		r.link.pid = ctx.Self()
		r.timer = r.link.loop.NewTimer(ctx.Self(), &again{})
	case *actor.Stopping:
		r.timer.Stop()
		r.watch.stop()
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
	r.watch.welcomed(w)
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
		r.refuse(&Error{Status: r.machine.Status, Outcome: NeverStarted, Text: r.machine.Reason})
	}
}

// refuse ends the registration for ever; the first reason stays.
func (r *registrar) refuse(e *Error) {
	r.link.fail.Do(func() {
		r.link.err = e
		close(r.link.failed)
		r.side.failed(e.Status, e.Text)
	})
}
