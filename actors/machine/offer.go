package machine

import (
	"strings"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// offerAll makes hits of all its services go to the worker. Of those in before it is known already that somebody offers them.
func (b *Broker) offerAll(now time.Duration, w *Worker, before map[string]*Names) {
	for _, name := range w.Info.Services {
		if w.names[name] != nil {
			continue
		}
		w.names[name] = b.namesOf(w, name)
		s := b.service(name, name)
		if before[name] == nil && s.workers.Len() == 0 {
			b.event(now, Event{Kind: ServiceOffered, Service: name, Worker: w.Name})
		}
		b.offer(w, s)
		if w.Info.Direct != "" && b.cfg.Token != nil {
			b.offer(w, b.service(wayKey([]byte(name), true), name))
		}
	}
}

// serveNew gives a worker what has waited for it, and to all workers of a service what has waited until there are enough of them.
func (b *Broker) serveNew(now time.Duration, w *Worker, fx []Effect) []Effect {
	for name := range w.names {
		if s := b.services[name]; s.wants > 1 && s.workers.Len() == s.wants {
			fx = b.serveAll(now, name, fx)
		}
	}
	return b.serve(now, w, fx)
}

// offersOther takes in that a worker offers other services from now on, or has other labels. Its hits go on. What waits for it alone, and does not fit any more, is
// told.
func (b *Broker) offersOther(now time.Duration, e *SlotsChanged, fx []Effect) []Effect {
	w, info := e.Worker, e.Info
	if info.Services == nil && info.Labels == nil {
		return fx
	}
	if info.Services != nil {
		if err := b.mayServe(w.Peer, info.Services); err != nil {
			return append(fx, send(w.Peer, wire.Header{Type: wire.Error, Status: wire.Refused}, []byte(err.Error())), Effect{Kind: Count, Status: wire.Refused})
		}
		w.Info.Services, w.Info.Terms = info.Services, info.Terms
	}
	if info.Labels != nil {
		w.Info.Labels = info.Labels
		w.Load.Weight = weightOf(info.Labels)
	}
	if w.left || w.State == Gone {
		return fx // it is offered nothing any more
	}
	old, names, deaf, closed := w.services, w.names, w.deaf, w.Load.Closed
	w.withdraw()
	w.names, w.deaf, w.Load.Closed = make(map[string]*Names), deaf, closed
	b.event(now, Event{Kind: WorkerChanged, Worker: w.Name, Text: "offers " + strings.Join(w.Info.Services, ", ")})
	b.offerAll(now, w, names)
	b.goneServices(now, old)
	fx = b.targetsGone(now, w, old, wire.Draining, nil, fx)
	b.forgetServices(old)
	return b.serveNew(now, w, fx)
}
