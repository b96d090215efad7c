package assigner

import (
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner/machine"
)

// tenure is a worker's right to serve the direct hits of one broker. It belongs to the loop, but for holds.
type tenure struct {
	lease     machine.Lease
	until     atomic.Int64 // of the lease, by the hub's clock
	hits      int
	heartbeat int64 // that the broker wants, ms; told to clients
}

// begin takes what WELCOME says of it.
func (t *tenure) begin(info wire.WelcomeInfo) {
	t.lease.Length, t.heartbeat = time.Duration(info.LeaseMS)*time.Millisecond, info.HeartbeatMS
}

// holds reports whether direct hits may be served; zero is when the hub's clock began. It is safe for use from any goroutine.
func (t *tenure) holds(zero time.Time) bool {
	return time.Since(zero) < time.Duration(t.until.Load()) || !keepsLease && t.until.Load() > 0
}

// act does what the lease wants.
func (f *front) act(e *enrolment, actions []machine.LeaseAction) {
	for _, a := range actions {
		switch a {
		case machine.Renew:
			e.send(&wire.Header{Type: wire.Renew, Arg: e.tenure.lease.Nonce()})
		case machine.Expired:
			f.expired(e)
		}
	}
}

// expired ends all direct hits of a broker that is not heard of any more.
func (f *front) expired(e *enrolment) {
	if !keepsLease {
		return
	}
	length := e.tenure.lease.Length.String()
	e.link.logger.Warn("the broker has not renewed the lease for direct hits, they are ended", "broker", e.broker, "hits", e.tenure.hits, "lease", length)
	f.of(e, func(p *passage) {
		p.farewell(wire.LeaseOver, "the worker has not heard from its broker for "+length+": open another hit")
		p.sever(wire.LeaseOver, "no lease from the broker for "+length)
	})
}

// granted takes LEASE, and welcomes who has waited for it.
func (f *front) granted(e *enrolment, nonce uint32) {
	if f == nil {
		return
	}
	t := &e.tenure
	if t.lease.Granted(f.now(), nonce) {
		t.until.Store(int64(t.lease.Until()))
		f.of(e, (*passage).welcome)
	}
	f.arm()
}

// lost takes the loss of a broker, whose hits these are: the slots are told by the enrolment.
func (f *front) lost(e *enrolment) {
	if f == nil {
		return
	}
	e.tenure.lease.Lose()
	f.of(e, func(p *passage) {
		p.farewell(wire.BrokerGone, "the worker has lost its broker, and with it the hit: open another one")
	})
	f.arm()
}

// of calls fn for the direct hits of one broker.
func (f *front) of(e *enrolment, fn func(*passage)) {
	for _, p := range f.hits {
		if p.slot.from == e {
			fn(p)
		}
	}
}
