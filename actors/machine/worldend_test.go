package machine_test

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
)

// finish lets the world come to rest, and checks that every question has got its answer; then all leave, and nothing may be left.
func (w *world) finish() {
	w.calm = true
	for _, l := range w.links {
		l.slow = false
	}
	for _, s := range w.workers {
		if s.wild {
			s.vanish()
		}
	}
	for _, c := range w.clients {
		if c.wild {
			w.lose(c.link, "disconnected", "the end")
		}
	}
	w.settle()
	w.effects(w.home, w.broker.ReleaseAll(w.now))
	w.settle()
	for range 2 { // a hit that has waited for a worker may have to wait for the next one
		w.tick(w.cfg.MaxWait) // nobody waits longer
		w.settle()
	}
	for _, c := range w.clients {
		for _, h := range c.hits {
			if !h.over && !c.link.gone && h.tries == 0 {
				c.close(h)
			}
		}
	}
	w.settle()
	w.check()
	for _, c := range w.clients {
		if !c.link.gone && !c.wild && !c.bye {
			c.allAnswered()
		}
	}
	for _, s := range w.workers {
		require.True(w.t, s.link.gone || len(s.sessions) == 0, "a session is left at a worker")
	}
	require.Zero(w.t, w.broker.Inventory().Hits)
	w.leave()
}

func (c *player) allAnswered() {
	for _, o := range c.opens {
		require.True(c.t, o.answered, "OPEN %d is not answered", o.ref)
	}
	for _, h := range c.hits {
		require.True(c.t, h.over, "hit %x is not closed", h.handle)
	}
}

// settle moves everything until nothing moves.
func (w *world) settle() {
	for rounds := 0; ; rounds++ {
		require.Less(w.t, rounds, 100_000, "the world never comes to rest")
		moved := w.turn()
		for _, c := range w.clients {
			moved = w.deliverOne(c.link, &c.out) || moved
			moved = moved || len(c.link.inbox) > 0
			c.read()
		}
		for _, s := range w.workers {
			moved = w.deliverOne(s.link, &s.out) || moved
			before := len(s.out)
			moved = moved || len(s.link.inbox) > 0
			s.read()
			if (s.untold || s.strays && s.calm) && !s.link.gone {
				s.tell()
			}
			if len(s.sessions) > 0 && !s.link.gone {
				open := s.sessions[0].open
				s.act()
				moved = moved || len(s.sessions) > 0 && s.sessions[0].open != open
			}
			moved = moved || len(s.out) > before
		}
		w.check()
		if !moved && w.idle() {
			return
		}
	}
}

// idle: chance may have picked a session with nothing to do, so it is asked of all.
func (w *world) idle() bool {
	for _, s := range w.workers {
		for _, x := range s.sessions {
			if !s.link.gone && (!x.open || len(x.queue) > 0 || x.ending) {
				return false
			}
		}
	}
	return w.quiet()
}

// leave has everybody leave.
func (w *world) leave() {
	for _, l := range w.links {
		w.lose(l, "disconnected", "the end")
	}
	for w.turn() {
		w.check()
	}
	w.tick(time.Hour) // rivals whose claim was not decided
	for w.turn() {
		w.check()
	}
	i := w.broker.Inventory()
	i.Places = 0 // of an empty queue: a slice with nothing in it
	require.Equal(w.t, machine.Inventory{}, i, "something is left")
	require.Zero(w.t, w.broker.Tasks(), "a task is left")
	require.Len(w.t, w.nodes, 1, "an actor is left")
	require.Empty(w.t, w.stage.handles.inUse)
}
