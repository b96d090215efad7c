package assigner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// Ticket returns the text that takes the hit up again, from this process or another one: see Client.Resume. It names the hit, its key and the
// calls made and answered so far; it may be stored, and is as secret as the hit is. It is an error where the hit was opened without Resume.
func (h *Hit) Ticket() (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.res == nil {
		return "", errNoResume(h)
	}
	return h.ticket().text(), nil
}

func errNoResume(h *Hit) error {
	return &Error{
		Status: wire.BadKey, Outcome: NeverStarted, Service: h.service, Hit: h.handle,
		Text: "the hit has no ticket: open it with OpenRequest.Resume, at a broker whose --max-resume is not 0",
	}
}

// Detach leaves the hit to whoever resumes it with the ticket returned, for as long as it is kept without a client. Calls under way go on; here they
// fail with ErrClosed and an unknown outcome, and their answers are the next holder's.
func (h *Hit) Detach(ctx context.Context) (string, error) {
	if err := unstarted(ctx); err != nil {
		return "", h.up.name(err, h.service, h.handle)
	}
	h.mu.Lock()
	if h.res == nil {
		h.mu.Unlock()
		return "", errNoResume(h)
	}
	if h.ended != nil {
		e := h.ended
		h.mu.Unlock()
		return "", e.notStarted()
	}
	text, sent := h.ticket().text(), h.res.sent
	if h.res.up {
		_ = h.up.link.ep.Sender().SendOn(h.peer, &wire.Header{Type: wire.Detach, Hit: h.handle, Epoch: h.epoch})
	}
	h.mu.Unlock()
	h.up.drop(h.handle)
	h.end(wire.IsClosed, sent, "the hit was detached: resume it with its ticket", nil)
	return text, nil
}

// Resume takes a hit up again with its ticket, on the same thread of the same worker. Who has held it until now is told (ErrFenced). What was under
// way when the ticket was written is in Hit.Inherited. The error wraps ErrBadTicket where the ticket cannot be read, ErrBadKey, ErrClosed where the hit
// is over, and ErrBrokerGone where its broker is not reached or has been restarted.
func (c *Client) Resume(ctx context.Context, text string) (*Hit, error) {
	t, err := parseTicket(text)
	if err != nil {
		return nil, err
	}
	return c.broker(t).resume(ctx, t)
}

// broker returns the one that the ticket is of: it may be known by another address here.
func (c *Client) broker(t *ticket) *uplink {
	at := c.up
	for _, u := range c.ups {
		u.mu.Lock()
		same := u.incarnation == t.Incarnation
		u.mu.Unlock()
		if same {
			return u
		}
		if u.cfg.Broker == t.Broker {
			at = u
		}
	}
	return at
}

func (u *uplink) resume(ctx context.Context, t *ticket) (*Hit, error) {
	if err := u.ready(ctx); err != nil {
		return nil, u.name(err, t.Service, t.handle)
	}
	h := &Hit{up: u, handle: t.handle, service: t.Service, res: &resumption{
		key: t.key, limit: time.Duration(t.ResumeMS) * time.Millisecond, incarnation: t.Incarnation, sent: t.Sent, received: t.Received,
		fromTicket: true, want: t.Sent, waiting: newPending(nil),
	}}
	p := h.res.waiting
	p.service, p.ref = t.Service, t.handle
	u.mu.Lock()
	end, peer, broker, held := u.end, u.peer, u.incarnation, u.hits[t.handle]
	if end == nil && held == nil && broker == t.Incarnation {
		u.hits[t.handle] = h
		u.underway.Add(1)
	}
	u.mu.Unlock()
	switch {
	case end != nil:
		return nil, end.notStarted()
	case held != nil:
		return nil, h.fail(wire.BadSeq, NeverStarted, "this client holds the hit already: go on with the Hit there is")
	case broker != t.Incarnation:
		return nil, h.fail(wire.BrokerGone, Unknown, fmt.Sprintf(
			"the ticket is of the broker with incarnation %s at %s, here is %s: the hit is lost if it was restarted, open another one", t.Incarnation, t.Broker, broker))
	}
	h.takeUp(peer)
	a, err := u.await(ctx, p, func() { u.drop(t.handle) })
	if err != nil {
		return nil, u.name(err, t.Service, t.handle)
	}
	return a.hit, nil
}

// Inherited is a call of an earlier holder of the hit, whose answer is still to come or was kept.
type Inherited struct {
	Seq  uint32 // its number within the hit
	hit  *Hit
	call *pending
}

// Inherited returns the calls that were under way when the hit was resumed, in order; none where it was opened here.
func (h *Hit) Inherited() []*Inherited {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.res == nil {
		return nil
	}
	return slices.Clone(h.res.inherited)
}

// Wait returns the call's reply, which is the caller's. When ctx ends first the call goes on, and Wait can be called again. Errors are those of
// Hit.Call; ErrReplyLost says that the call was answered, but that the answer was not kept.
func (i *Inherited) Wait(ctx context.Context) ([][]byte, error) {
	select {
	case a := <-i.call.got:
		i.call.got <- a // for who asks again
		return a.frames, i.hit.up.name(a.err, i.hit.service, i.hit.handle)
	case <-ctx.Done():
		e := ctxError(ctx)
		e.Text = "the answer has not come yet: wait again"
		return nil, i.hit.up.name(e, i.hit.service, i.hit.handle)
	}
}

// Errors of hits that outlive their client.
var (
	ErrBadKey    = errors.New("the key is not the hit's")
	ErrReplyLost = errors.New("finished, but the reply is lost")
	ErrFenced    = errors.New("another client has taken the hit up")
)
