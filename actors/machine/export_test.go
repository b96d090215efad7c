package machine

import (
	"slices"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// Inventory is all that a broker holds, for the tests of invariants.
type Inventory struct {
	Clients, Workers, Names, Hits, Listed int
	Queued, Deadlines, Places             int // OPENs in queues, in the heap of deadlines, and places kept in queues
	Unoffered                             int // services that nobody has ever offered
	Adrift, Graves                        int
	Moving, Limbo                         int // hits that wait for another worker, and all that have none
	Kept                                  int // bytes, so that hits can move
}

// Inventory returns what the broker holds.
func (b *Broker) Inventory() Inventory {
	i := Inventory{Clients: len(b.clients), Workers: len(b.workers), Names: len(b.names), Hits: len(b.byHandle), Listed: b.all.n, Deadlines: b.waiting.Len(), Adrift: b.adrift.Len(), Graves: len(b.graves)}
	i.Moving, i.Limbo, i.Kept = b.moves.Len(), b.limbo.hits.n, b.cfg.MoveAll-b.limits.redo
	for _, s := range b.services {
		i.Queued += s.queue.n
		i.Places += len(s.queue.items)
		if !s.offered && !s.held {
			i.Unoffered++
		}
	}
	return i
}

// Waiting returns the OPENs that wait for a service, in order.
func (b *Broker) Waiting(name string) []*wire.Message {
	var opens []*wire.Message
	if s := b.services[name]; s != nil {
		s.queue.each(func(w *waiter) { opens = append(opens, w.msg) })
	}
	return opens
}

// Servable reports whether a slot is free at a worker of the service.
func (b *Broker) Servable(name string) bool {
	for _, w := range b.workers {
		for _, s := range w.services {
			if s.name == name && (w.Load.Free() > 0 || w.Load.Room() > 0) {
				return true
			}
		}
	}
	return false
}

// AllWorkers returns the workers that are registered.
func (b *Broker) AllWorkers() []*Worker {
	var all []*Worker
	for _, w := range b.workers {
		all = append(all, w)
	}
	return all
}

// AllHits returns the hits in order of opening.
func (b *Broker) AllHits() []*Hit {
	var all []*Hit
	b.all.each(func(h *Hit) { all = append(all, h) })
	return all
}

// Assigned returns how many hits the worker has, and how many slots are busy with those of an earlier connection.
func (w *Worker) Assigned() (hits, busy int) { return w.hits.n, w.busy }

// Behind returns how many sessions it has whose hits have gone to another worker.
func (w *Worker) Behind() int { return len(w.behind) }

// Service returns the name of the hit's service.
func (h *Hit) Service() string { return h.names.Service }

// Past returns how many sessions the hit has left that have not ended.
func (h *Hit) Past() int {
	if h.redo == nil {
		return 0
	}
	n := 0
	for _, p := range h.redo.past {
		if !p.over {
			n++
		}
	}
	return n
}

// Of returns the worker that serves the hit.
func (h *Hit) Of() *Worker { return h.worker }

// Orphan reports whether the hit's actor has crashed.
func (h *Hit) Orphan() bool { return h.orphan }

// Stranded names a view where somebody waits though a worker of it has a free slot, empty if there is none. It also looks whether what is counted is right.
func (b *Broker) Stranded() string {
	elsewhere := make(map[*service]int)
	for _, s := range b.services {
		if s.view == nil {
			continue
		}
		elsewhere[s.view.base] += s.queue.n
		for _, w := range b.workers {
			is := slices.Contains(w.services, s)
			switch {
			case is && s.queue.n > 0 && w.Load.Free() > 0 && !b.shut(s):
				return s.key
			case is != (s.view.matches(w) && slices.Contains(w.services, s.view.base)):
				return s.key + ": " + w.Name + " is in it, or not, wrongly"
			}
		}
	}
	for _, s := range b.services {
		if s.elsewhere != elsewhere[s] {
			return s.key + ": miscounted"
		}
	}
	return ""
}

// Services returns how many records of services and views there are.
func (b *Broker) Services() int { return len(b.services) }

// KeptAnswers returns how many answers of tasks are kept, and Tasks how many are known.
func (b *Broker) KeptAnswers() int { return b.tasks.done.Len() }
func (b *Broker) Tasks() int       { return len(b.tasks.byKey) }

// Held reports whether an operator holds a service.
func (b *Broker) Held(name string) bool {
	s := b.services[name]
	return s != nil && s.held
}

// ReleaseAll ends all holds.
func (b *Broker) ReleaseAll(now time.Duration) (fx []Effect) {
	for name, s := range b.services {
		if s.held {
			s.held = false
			fx = b.serveAll(now, name, fx)
			b.prune(s)
		}
	}
	return fx
}
