package assigner

import (
	"hash/fnv"
	"slices"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// newBrokers reads MOVED, and returns those of its endpoints that are of use and not known yet. Known says which are.
func newBrokers(l *link, m *wire.Message, known func(url string) bool) (to []string) {
	info, err := wire.ParseMoved(m.Frame(0))
	if err != nil {
		l.logger.Warn("the broker's MOVED cannot be read", "broker", l.broker, "error", err)
		return nil
	}
	for _, url := range info.To {
		switch err := zmqsock.CheckEndpoint("connect", url); {
		case err != nil:
			l.logger.Warn("the broker sends us where nobody can be", "broker", l.broker, "to", url, "error", err)
		case !known(url) && !slices.Contains(to, url):
			to = append(to, url)
		}
	}
	return to
}

// moved takes MOVED: the worker goes to another broker when its hits of this one have ended. Of several it chooses one by its name, so that many workers
// spread; where it serves all of them already, it stays. It runs on the loop.
func (e *enrolment) moved(m *wire.Message) {
	w := e.worker
	to := newBrokers(e.link, m, func(url string) bool {
		return slices.ContainsFunc(w.brokers, func(other *enrolment) bool { return other.broker == url })
	})
	if len(to) == 0 {
		return
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(w.cfg.Name))
	w.mu.Lock()
	defer w.mu.Unlock()
	e.next = to[int(h.Sum32()%uint32(len(to)))]
	e.link.logger.Info("the broker sends this worker to another one, when its hits have ended", "broker", e.broker, "to", e.next, "hits", len(e.slots)+len(e.orphans))
	e.moveOn()
}

// moveOn takes leave of a broker that has sent the worker elsewhere, once no hit of it is left, and the last word of each is said. The lock is held. It runs on the loop.
func (e *enrolment) moveOn() {
	if e.next == "" || e.parts || e.bound+len(e.slots)+len(e.orphans) > 0 || e.worker.leaving || e.worker.draining {
		return
	}
	if e.parts = true; e.registered.Load() {
		e.leave()
		return
	}
	e.worker.hub.loop.Do(func() { e.move() })
}

// move connects to the next broker, when this one has nothing to say any more. It reports whether there is one. It runs on the loop.
func (e *enrolment) move() bool {
	w := e.worker
	w.mu.Lock()
	next := e.next
	if next == "" || w.leaving || w.draining {
		w.mu.Unlock()
		return false
	}
	from := e.broker
	e.broker, e.link.broker, e.next, e.parts = next, next, "", false
	w.mu.Unlock()
	curve, err := curveTo(e.link.key, next)
	if err != nil {
		e.link.logger.Error("the key is of no use at the other broker", "broker", next, "error", err)
		return false
	}
	e.link.logger.Info("the worker has moved", "from", from, "to", next)
	e.link.ep.Redirect(next, curve, "the worker has moved to "+next)
	return true
}
