package assigner

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// Vitals say whether the other side of a hit is alive, and, apart from that, whether the hit makes progress. They are the broker's: neither side's
// application is asked, which may be busy, or hold an interpreter's lock.
type Vitals struct {
	Peer     string        // who it is about: worker, client, broker, or hit where there is none (any more)
	Alive    bool          // its connection stands
	By       string        // what says so
	Within   time.Duration // a silence longer than this would have been noticed; 0: it has just answered
	State    string        // of the hit
	Running  uint32        // seq of the call under way, 0: none
	For      time.Duration // how long it has been running
	Progress time.Duration // since the hit's thread gave a sign: an answer, a report of progress
	Queued   int           // calls that wait behind the running one
}

func parseVitals(b []byte) (Vitals, error) {
	var v wire.VitalsInfo
	if err := json.Unmarshal(b, &v); err != nil {
		return Vitals{}, &Error{Status: wire.BadFrame, Outcome: Unknown, Text: "the broker's VITALS cannot be read: " + err.Error()}
	}
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	return Vitals{v.Peer, v.Alive, v.By, ms(v.WithinMS), v.State, v.Running, ms(v.RunningMS), ms(v.ProgressMS), v.Queued}, nil
}

// IsAlive tells whether the hit's worker is alive and its thread makes progress. A hit that is over has Alive false, and By says why. The error is an
// *Error: ErrBrokerGone where the broker is not reached before ctx ends.
func (h *Hit) IsAlive(ctx context.Context) (Vitals, error) {
	h.mu.Lock()
	ended, epoch := h.ended, h.epoch
	h.mu.Unlock()
	if ended != nil {
		return Vitals{Peer: "hit", By: ended.Text, State: "over"}, nil
	}
	v, err := h.up.probe(ctx, h.handle, epoch)
	return v, h.up.name(err, h.service, h.handle)
}

// IsAlive tells whether the client's broker answers. The error is an *Error: ErrBrokerGone where it is not reached before ctx ends, or the connection is lost
// meanwhile, and ErrExpired where it stands but does not answer.
func (c *Client) IsAlive(ctx context.Context) (Vitals, error) {
	u, err := c.present(ctx)
	if err != nil {
		return Vitals{}, err
	}
	return u.probe(ctx, 0, 0)
}

// probe asks the broker with PROBE.
func (u *uplink) probe(ctx context.Context, hit uint64, epoch uint32) (Vitals, error) {
	if err := u.ready(ctx); err != nil {
		return Vitals{}, err
	}
	p, ref := newPending(nil), uint32(u.refs.Add(1))
	if err := u.ask(p, uint64(ref), &wire.Header{Type: wire.Probe, Hit: hit, Epoch: epoch, Arg: ref}); err != nil {
		return Vitals{}, err
	}
	a, err := u.await(ctx, p, func() { u.takeOpen(p.ref) })
	if err != nil {
		return Vitals{}, err
	}
	return parseVitals(a.frames[0])
}

// probes are the questions of a worker's calls that wait for VITALS.
type probes struct {
	mu      sync.Mutex
	last    uint32
	waiting map[uint32]chan answer
}

func (p *probes) add() (uint32, chan answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = make(map[uint32]chan answer)
	}
	p.last++
	got := make(chan answer, 1)
	p.waiting[p.last] = got
	return p.last, got
}

func (p *probes) take(ref uint32) chan answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.waiting[ref]
	delete(p.waiting, ref)
	return got
}

// answered takes VITALS. It runs on the loop.
func (p *probes) answered(m *wire.Message) {
	if got := p.take(m.Header.Arg); got != nil {
		got <- answer{frames: m.Copy().Body}
	}
}

// lost fails all questions: the broker is gone.
func (p *probes) lost(reason string) {
	p.mu.Lock()
	waiting := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	for _, got := range waiting {
		got <- answer{err: &Error{Status: wire.BrokerGone, Outcome: Unknown, Text: "the connection to the broker is lost (" + reason + ")"}}
	}
}

// IsAlive tells whether the call's client is alive: one that is gone, or has left its hit for later, has Alive false. It may be called by the handler, and by
// goroutines of its. The error is an *Error: ErrBrokerGone where the connection to the broker is lost.
func (c *Call) IsAlive(ctx context.Context) (Vitals, error) {
	e := c.slot.from
	ref, got := e.probes.add()
	h := wire.Header{Type: wire.Probe, Hit: c.slot.handle, Epoch: c.slot.epoch, Arg: ref}
	if err := e.link.ep.Sender().SendOn(c.slot.peer, &h); err != nil {
		e.probes.take(ref)
		return Vitals{}, &Error{Status: wire.BrokerGone, Outcome: Unknown, Service: c.Service, Hit: c.Hit, Text: "the connection to the broker is lost"}
	}
	select {
	case a := <-got:
		if a.err != nil {
			return Vitals{}, a.err
		}
		return parseVitals(a.frames[0])
	case <-ctx.Done():
		e.probes.take(ref)
		err := ctxError(ctx)
		err.Service, err.Hit, err.Text = c.Service, c.Hit, "the broker has not answered yet"
		return Vitals{}, err
	}
}
