package supervision

import (
	"fmt"
	"runtime/debug"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"
)

// startNext starts the next static child, or completes the start.
func (s *supervisor) startNext(ctx actor.Context) {
	if s.phase != starting {
		return
	}
	if s.next < len(s.spec.Children) {
		c := &child{spec: s.spec.Children[s.next]}
		s.next++
		s.add(c)
		s.launch(ctx, c)
		return
	}
	s.report.wait(s.self.Id, "")
	s.guard.announce()
	s.open(ctx)
}

func (s *supervisor) add(c *child) {
	s.children[c.spec.ID] = c
	s.order = append(s.order, c)
}

func (s *supervisor) remove(c *child) {
	delete(s.children, c.spec.ID)
	delete(s.watchers, c.spec.ID)
	for i := len(s.order) - 1; i >= 0; i-- {
		if s.order[i] == c {
			s.order = append(s.order[:i], s.order[i+1:]...)
			return
		}
	}
}

// launch starts the next incarnation of c. It has started when its guard says
// so, see onUp.
func (s *supervisor) launch(ctx actor.Context, c *child) {
	c.state = StateStarting
	g, reason := s.incarnate(ctx, c)
	if reason != nil {
		s.gone(ctx, c, reason)
		return
	}
	c.guard = g
	if s.phase == starting {
		s.report.wait(s.self.Id, g.pid.Id)
	}
	if c.first != nil {
		ctx.Send(g.pid, c.first)
		c.first = nil
	}
}

func (s *supervisor) incarnate(ctx actor.Context, c *child) (g *guard, failed Reason) {
	defer func() {
		if v := recover(); v != nil {
			failed = Panic{Value: v, Stack: debug.Stack()}
		}
	}()
	inner := c.spec.Start()
	g = &guard{inner: inner, up: s.port}
	limit := s.limitOf(c, g)
	if limit > 0 {
		g.fence = &fence{}
	}
	if failed = s.spawn(ctx, c.spec.ID, g, actor.PropsFromProducer(s.produce, s.optionsOf(c, g)...)); failed == nil && limit > 0 {
		s.watchOver(g, limit)
	}
	return g, failed
}

// optionsOf also hands a nested supervisor what it takes from its parent.
func (s *supervisor) optionsOf(c *child, g *guard) []actor.PropsOption {
	options := s.spec.ChildOptions
	if nested, ok := g.inner.(*supervisor); ok {
		nested.adopt(s)
		if nested.spec.Options != nil {
			options = nested.spec.Options
		}
	}
	if c.spec.Options != nil {
		options = c.spec.Options()
	}
	if _, ok := g.inner.(*service); ok {
		options = append(options[:len(options):len(options)], ownGoroutine)
	}
	return options
}

func (s *supervisor) adopt(parent *supervisor) {
	s.spec.inherit(&parent.spec)
	s.parent = parent.port
	s.report = parent.report
}

// produce hands the guard that spawn has prepared to protoactor, which asks
// for it within SpawnNamed. So one Props serves any number of actors.
func (s *supervisor) produce() actor.Actor { return s.produced }

// spawn starts the actor behind g under a name that never existed before.
func (s *supervisor) spawn(ctx actor.Context, id string, g *guard, props *actor.Props) (failed Reason) {
	if g.inner == nil {
		return Error{fmt.Errorf("child %q: there is no actor: return one from Start, or set Actor", id)}
	}
	s.seq++
	s.name = append(append(s.name[:0], id...), '-')
	s.name = strconv.AppendUint(s.name, s.seq, 36)
	name := string(s.name)
	s.produced = g.actor()
	defer func() {
		s.produced = nil
		if v := recover(); v != nil {
			// An option has panicked; protoactor may have registered the name.
			s.system.ProcessRegistry.Remove(actor.NewPID(s.self.Address, s.prefix+name))
			failed = Panic{Value: v, Stack: debug.Stack()}
		}
	}()
	pid, err := ctx.SpawnNamed(props, name)
	if err != nil {
		return Error{fmt.Errorf("child %q: spawn %s%s: %w", id, s.prefix, name, err)}
	}
	g.pid = pid
	return nil
}

// onUp hears that the child behind g has started.
func (s *supervisor) onUp(ctx actor.Context, g *guard) {
	if g.pid == nil {
		return
	}
	id := s.idOf(g.pid.Id)
	if s.temps[id] == g {
		if answer := s.acks[id]; answer != nil {
			delete(s.acks, id)
			answer(&Started{ID: id, PID: g.pid})
		}
		return
	}
	c := s.children[id]
	if c == nil || c.guard != g || c.state != StateStarting {
		return
	}
	c.state, c.since = StateRunning, s.spec.Clock.Now()
	switch {
	case c.answer != nil:
		c.answer(&Started{ID: id, PID: g.pid})
		c.answer = nil
	case c.restarts > 0:
		s.tellRestarted(ctx, c)
	}
	s.startNext(ctx)
	s.assemble(ctx)
}
