package assigner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// uplink is a client's registration at one broker, and all that is under way there. It is safe for use by many goroutines.
type uplink struct {
	cfg   ClientConfig // Broker is this one's
	link  *link
	fleet *fleet // of a client with several brokers, else nil
	signs
	underway atomic.Int64 // calls and opens without an answer yet
	refs     atomic.Uint64
	maxBody  atomic.Int64 // the broker's
	directs  *directs     // the client's
	moves    func(*uplink, *wire.Message)
	window   atomic.Int64  // of the connection, bytes
	over     chan struct{} // closed when nothing can be asked for any more

	mu     sync.Mutex
	up     chan struct{} // closed while registered
	isUp   bool
	end    *Error // why nothing can be asked for any more
	peer   wire.Peer
	reason string // of the last loss
	why    []byte // its record

	incarnation string        // of the broker, as of the last WELCOME
	maxResume   time.Duration // the broker's

	opens map[uint64]*pending
	hits  map[uint64]*Hit
}

// newUplink returns the uplink to cfg.Broker; its link is the client's to make.
func newUplink(cfg ClientConfig) *uplink {
	return &uplink{
		cfg: cfg, over: make(chan struct{}), up: make(chan struct{}),
		opens: make(map[uint64]*pending), hits: make(map[uint64]*Hit), reason: "no broker has answered at " + cfg.Broker,
	}
}

// bye says goodbye to the broker, which ends the client's hits.
func (u *uplink) bye() {
	u.finish(&Error{Status: wire.IsClosed, Text: "the client was closed: dial another one"})
	_ = u.link.ep.Sender().Send(&wire.Header{Type: wire.Bye})
}

// finish fails all that is under way, and all that will be asked for; the first reason stays.
func (u *uplink) finish(e *Error) {
	u.mu.Lock()
	if u.end == nil {
		u.end = e
		close(u.over)
	}
	u.mu.Unlock()
	u.failAll(e, false)
}

// open sends an OPEN as soon as there is a broker.
func (u *uplink) open(ctx context.Context, r OpenRequest, h wire.Header, options []byte, body [][]byte, progress func(Progress)) (*pending, error) {
	p := newPending(progress)
	service := r.Service
	p.service, p.oneshot, p.resume = service, h.Flags.Has(wire.First), r.Resume
	if err := u.ready(ctx); err != nil {
		return nil, u.name(err, service, 0)
	}
	if err := u.tooLarge(body); err != nil {
		return nil, u.name(err, service, 0)
	}
	h.Arg, h.Hit = deadline(ctx), u.refs.Add(1)
	frames := make([][]byte, 0, 2+len(body))
	frames = append(append(frames, []byte(service), options), body...)
	if err := u.ask(p, h.Hit, &h, frames...); err != nil {
		return nil, u.name(err, service, 0)
	}
	return p, nil
}

// ask sends what will be answered by its reference.
func (u *uplink) ask(p *pending, ref uint64, h *wire.Header, frames ...[]byte) error {
	p.ref = ref
	u.mu.Lock()
	end, peer := u.end, u.peer
	if end == nil {
		u.opens[ref] = p
		u.underway.Add(1)
	}
	u.mu.Unlock()
	if end != nil {
		return end.notStarted()
	}
	if err := u.link.ep.Sender().SendOn(peer, h, frames...); err != nil {
		u.takeOpen(ref)
		failed := answer{err: u.gone(NeverStarted)}
		if p.done != nil {
			go u.settle(p, failed) // it may need what the caller holds
		} else {
			u.settle(p, failed)
		}
	}
	return nil
}

func (u *uplink) tooLarge(frames [][]byte) error {
	n := 0
	for _, f := range frames {
		n += len(f)
	}
	switch limit := u.maxBody.Load(); {
	case int64(n) > limit:
		return &Error{Status: wire.TooLarge, Outcome: NeverStarted, Text: fmt.Sprintf("the body has %d bytes, the broker takes %d (its --max-body): send less", n, limit)}
	case len(frames) > wire.MaxBodies:
		return &Error{Status: wire.BadFrame, Outcome: NeverStarted, Text: fmt.Sprintf("the body has %d frames, at most %d are possible", len(frames), wire.MaxBodies)}
	}
	return nil
}

// deadline is the ctx's as an arg, in ms; 0 without one. It is a little shorter than the caller's own patience, a tenth but at most
// 50 ms, so that the answer "expired, never started" is here before the caller gives up and has to call the outcome unknown.
func deadline(ctx context.Context) uint32 {
	at, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return untilDeadline(at)
}

func untilDeadline(at time.Time) uint32 {
	left := time.Until(at)
	left -= min(left/10, 50*time.Millisecond)
	return uint32(min(max(left/time.Millisecond, 1), 1<<32-1))
}

func (u *uplink) name(err error, service string, hit uint64) error {
	var e *Error
	if errors.As(err, &e) && e.Service == "" {
		named := *e
		named.Service, named.Hit = service, hit
		return &named
	}
	return err
}

// there reports whether the client is registered at this broker.
func (u *uplink) there() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.isUp && u.end == nil
}

// ready waits until the client is registered at this broker; errors as for Client.Ready.
func (u *uplink) ready(ctx context.Context) error {
	for {
		u.mu.Lock()
		up, is, end, reason := u.up, u.isUp, u.end, u.reason
		u.mu.Unlock()
		switch {
		case end != nil:
			return end.notStarted()
		case is:
			return unstarted(ctx)
		}
		select {
		case <-up:
		case <-u.over:
		case <-u.link.failed:
			return u.link.err
		case <-ctx.Done():
			return u.unreached(ctx, reason)
		}
	}
}

// admin asks this broker for what ADMIN offers.
func (u *uplink) admin(ctx context.Context, request any) (json.RawMessage, error) {
	if err := u.ready(ctx); err != nil {
		return nil, err
	}
	p, ref := newPending(nil), uint32(u.refs.Add(1))
	if err := u.ask(p, uint64(ref), &wire.Header{Type: wire.Admin, Arg: ref}, wire.JSON(request)); err != nil {
		return nil, err
	}
	a, err := u.await(ctx, p, func() { u.takeOpen(p.ref) })
	if err != nil {
		return nil, err
	}
	return a.frames[0], nil
}
