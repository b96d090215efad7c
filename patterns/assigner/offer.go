package assigner

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// offer is what a worker offers and is at present. It is under the worker's lock.
type offer struct {
	services map[string]Service
	labels   map[string]string
	known    map[string]Service // those of before, too: hits may be on their way to them
}

func newOffer(cfg *WorkerConfig) offer {
	return offer{services: cfg.Services, labels: cfg.Labels, known: maps.Clone(cfg.Services)}
}

func (o *offer) names() []string { return slices.Sorted(maps.Keys(o.services)) }

// threads says what kind of threads serves hits.
func (o *offer) threads() string {
	for _, s := range o.services {
		if s.Threads == Pinned {
			return "pinned"
		}
	}
	return "shared"
}

// terms are what the worker asks for its services.
func (o *offer) terms() map[string]wire.Term {
	all := make(map[string]wire.Term)
	for name, s := range o.services {
		if s.Lease > 0 || s.Repair != RepairDefault {
			all[name] = wire.Term{LeaseMS: s.Lease.Milliseconds(), Repair: string(s.Repair)}
		}
	}
	return all
}

// SetServices changes what the worker offers, at all its brokers, which are told at once: others, fewer, or the same with other handlers. Hits that are open go on as
// they are, and those on their way to a service that is not offered any more are served yet. A broker whose key does not let the worker serve them keeps to what it
// knows. The error names what cannot be used; nothing has changed then. The map is the worker's from now on.
func (w *Worker) SetServices(services map[string]Service) error {
	if len(services) == 0 {
		return errors.New("assigner: SetServices: there are none: offer at least one service, or Drain the worker")
	}
	if err := checkServices("SetServices", services); err != nil {
		return err
	}
	w.mu.Lock()
	w.offer.services = services
	maps.Copy(w.offer.known, services)
	w.mu.Unlock()
	w.announce()
	return nil
}

// SetLabels changes the worker's labels, all of them, at all its brokers, which are told at once. What waits for a worker with a label that is not there any more
// waits for another one. The map is the worker's from now on.
func (w *Worker) SetLabels(labels map[string]string) error {
	if err := wire.CheckLabels(wire.Changed, labels); err != nil {
		return fmt.Errorf("assigner: SetLabels: %w", err)
	}
	if labels == nil {
		labels = map[string]string{}
	}
	w.mu.Lock()
	w.offer.labels = labels
	w.mu.Unlock()
	w.announce()
	return nil
}

// announce tells the brokers what the worker offers. One that it is not registered at learns it from the next READY.
func (w *Worker) announce() {
	if w.hub == nil {
		return
	}
	w.hub.loop.Do(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, e := range w.brokers {
			if e.told.on {
				e.told.slots, e.told.most = w.slots.Share(e.own())
				info := e.change(e.told.slots, e.told.most)
				info.Services, info.Terms, info.Labels = w.offer.names(), w.offer.terms(), w.offer.labels
				e.sendOn(e.peer, &wire.Header{Type: wire.Changed}, wire.JSON(info))
			}
		}
	})
}
