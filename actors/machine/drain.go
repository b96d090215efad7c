package machine

import (
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// DrainReport is the answer to the admin command drain. Asked again it tells how far the draining has come.
type DrainReport struct {
	Draining string `json:"draining"` // the worker's name, or the broker's
	Hits     int    `json:"hits"`     // that are still open
}

// moved is what MOVED says to peers of a broker that drains; nil: there is nowhere to go.
type moved struct{ clients, workers []byte }

// moving makes a frame of MOVED.
func moving(to []string) []byte {
	if len(to) == 0 {
		return nil
	}
	return mustJSON(wire.MovedInfo{To: to})
}

// drainOne makes a worker take no new hits, or with an empty name the broker itself. What is open goes on.
func (b *Broker) drainOne(now time.Duration, r AdminRequest, fx []Effect) (any, []Effect) {
	for _, to := range [][]string{r.ClientsTo, r.WorkersTo} {
		if err := wire.CheckMoved(to); err != nil && len(to) > 0 {
			return fail("%v", err), fx
		}
	}
	if r.About == "" {
		return b.drainAll(now, r, fx)
	}
	if len(r.ClientsTo) > 0 {
		return fail("clients_to with the name of a worker: only a broker that drains sends its clients elsewhere"), fx
	}
	w := b.names[r.About]
	if w == nil || w.State == Gone {
		return fail("no worker is named %q: see `troupe worker list`", r.About), fx
	}
	if !w.left {
		w.left = true
		services := w.services
		w.withdraw()
		b.event(now, Event{Kind: WorkerDrains, Worker: w.Name, Text: operatorOf(r) + " drains it"})
		b.goneServices(now, services)
		fx = b.targetsGone(now, w, services, wire.Draining, nil, fx)
		if w.State == Serving {
			w.State = Leaving
		}
	}
	if to := moving(r.WorkersTo); to != nil {
		fx = append(fx, send(w.Peer, wire.Header{Type: wire.Moved}, to))
	}
	return DrainReport{w.Name, w.hits.n}, fx
}

// drainAll makes the broker take no new hits. Its peers hear where else to go before those that wait here are sent away.
func (b *Broker) drainAll(now time.Duration, r AdminRequest, fx []Effect) (any, []Effect) {
	if to := moving(r.ClientsTo); to != nil {
		b.moved.clients = to
		for p := range b.clients {
			fx = append(fx, send(p, wire.Header{Type: wire.Moved}, to))
		}
	}
	if to := moving(r.WorkersTo); to != nil {
		b.moved.workers = to
		for p := range b.workers {
			fx = append(fx, send(p, wire.Header{Type: wire.Moved}, to))
		}
	}
	if !b.draining {
		fx = b.Drain(now, fx)
	}
	return DrainReport{b.cfg.Name, b.all.n}, fx
}

// elsewhere tells a peer that comes too late where to go.
func elsewhere(to wire.Peer, frame []byte, fx []Effect) []Effect {
	if frame == nil {
		return fx
	}
	return append(fx, send(to, wire.Header{Type: wire.Moved}, frame))
}
