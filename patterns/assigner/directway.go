package assigner

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/supervision"
)

// ErrNoDirectWay says that a hit was given, but its worker's endpoint for direct hits is not reached or does not let the client in.
var ErrNoDirectWay = errors.New("the worker is not reached directly")

// directWay is a client's own connection to the worker of a direct hit.
type directWay struct {
	up       *uplink
	hit      *Hit
	endpoint string
	token    []byte     // good once
	key      string     // the worker's, Z85; empty: it has none
	met      chan error // one place: whether the worker let us in

	// Written on the loop before met, read by callers after it:
	sender *bridge.Sender
	peer   wire.Peer
	epoch  uint32

	// The loop's:
	ep      *bridge.Endpoint
	closing *wire.Message // CLOSED, while answers that came before it are still under way
	over    bool
}

// directs hears of all direct connections of a client; it lives on the loop.
type directs struct {
	pid  *actor.PID
	ways map[wire.Peer]*directWay
}

const directsChild = "direct"

func (d *directs) child() supervision.ChildSpec {
	return supervision.ChildSpec{ID: directsChild, Start: func() actor.Actor { return d }}
}

// toDirect is what workers say to clients of direct hits.
var toDirect = []wire.Type{wire.Welcome, wire.Reply, wire.Working, wire.Error, wire.Ping, wire.Pong, wire.Bye, wire.Part, wire.Credit}

// Receive is the engine's.
func (d *directs) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *wire.Message:
		if w := d.ways[m.From]; w != nil {
			w.message(m)
		}
	case *wire.PeerGone:
		if w := d.ways[m.Peer]; w != nil {
			w.lost("its connection to " + w.endpoint + " is lost: " + m.Detail)
		}
	case *actor.Started:
		d.pid = ctx.Self()
	}
}

// newDirectWay reads what OPENED says of the way.
func newDirectWay(u *uplink, h *Hit, m *wire.Message) *directWay {
	return &directWay{up: u, hit: h, endpoint: string(m.Frame(3)), token: clone(m.Frame(4)), key: string(m.Frame(5)), met: make(chan error, 1)}
}

// meet connects to the worker and waits to be let in. On failure the hit is closed.
func (w *directWay) meet(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, w.up.cfg.DirectPatience)
	defer cancel()
	err := zmqsock.CheckEndpoint("connect", w.endpoint)
	if err == nil {
		err = w.up.link.onLoop(limit, w.connect)
	}
	if err == nil {
		select {
		case err = <-w.met:
		case <-limit.Done():
			err = fmt.Errorf("nobody has answered at %s within %v", w.endpoint, w.up.cfg.DirectPatience)
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
		}
	}
	if err == nil {
		return nil
	}
	w.up.abandon(w.hit)
	return &Error{
		Status: wire.WorkerGone, Outcome: NeverStarted, cause: errors.Join(ErrNoDirectWay, err), Service: w.hit.service, Hit: w.hit.handle,
		Text: fmt.Sprintf("worker %s is not reached directly at %s: %v: start it with a --direct-advertise host that this client reaches, or allow the way through the broker (OpenRequest.Route: DirectOrRouted)",
			w.hit.worker, w.endpoint, err),
	}
}

// connect makes the connection and greets. It runs on the loop.
func (w *directWay) connect() (err error) {
	if w.over {
		return errors.New("the hit has ended meanwhile")
	}
	d := w.up.directs
	cfg := bridge.EndpointConfig{Connect: w.endpoint, Keeper: d.pid, Accept: toDirect, Once: true}
	if cfg.Curve, err = w.curve(); err != nil {
		return err
	}
	w.ep, err = w.up.link.loop.Open(cfg)
	if err != nil {
		return err
	}
	w.sender, w.peer = w.ep.Sender(), w.ep.Broker()
	d.ways[w.peer] = w
	return w.sender.SendOn(w.peer, &wire.Header{Type: wire.Hello, Flags: wire.Direct, Hit: w.hit.handle}, wire.JSON(wire.HelloInfo{Token: hex.EncodeToString(w.token), Lang: "go"}))
}

// message takes what the worker says; of other hits it has nothing to say here.
func (w *directWay) message(m *wire.Message) {
	if m.Header.Type == wire.Pong {
		w.answersAreHere(m.Header.Arg)
		return
	}
	if m.Header.Type == wire.Bye {
		w.lost("the worker said BYE")
		return
	}
	if m.Header.Hit != w.hit.handle {
		return
	}
	switch {
	case m.Header.Type == wire.Welcome:
		if w.epoch == 0 {
			w.epoch = m.Header.Epoch
			w.settle(nil)
		}
	case w.epoch == 0:
		w.settle(fmt.Errorf("the worker refuses it (%v): %s", m.Header.Status, m.Frame(0)))
	case m.Header.Epoch != w.epoch:
	case m.Header.Type == wire.Error && m.Header.Seq == 0 && m.Header.Flags.Has(wire.Last):
		w.ended(m.Header.Status, string(m.Frame(0)))
	default:
		(*clientSide)(w.up).message(m)
	}
}

// settle tells who waits in meet; later ones are dropped.
func (w *directWay) settle(err error) {
	select {
	case w.met <- err:
	default:
	}
}

// lost takes the loss of the connection.
func (w *directWay) lost(detail string) {
	w.settle(errors.New(detail))
	if w.closing != nil {
		w.finish()
		return
	}
	w.ended(wire.WorkerGone, detail+": open another hit")
}

// ended ends the hit at the client, and asks the broker to end it as well.
func (w *directWay) ended(status wire.Status, text string) {
	if w.over {
		return
	}
	w.up.drop(w.hit.handle)
	w.up.closeAt(w.hit)
	w.hit.end(status, math.MaxUint32, text, nil)
}

// closed takes CLOSED from the broker, and reports whether it can be obeyed only later: answers may still be under way from the worker. They are here
// when the worker has answered a PING that was sent behind them.
func (w *directWay) closed(m *wire.Message) bool {
	if m.Header.Status != wire.OK || w.epoch == 0 || w.over || !w.hit.busy() {
		return false
	}
	err := w.sender.SendOn(w.peer, &wire.Header{Type: wire.Ping, Arg: lastWord})
	if err == nil {
		w.closing = m.Copy()
	}
	return err == nil
}

func (w *directWay) answersAreHere(arg uint32) {
	if w.closing != nil && arg == lastWord {
		w.finish()
	}
}

func (w *directWay) finish() {
	m := w.closing
	w.closing = nil
	w.up.drop(w.hit.handle)
	w.hit.end(m.Header.Status, m.Header.Arg, string(m.Frame(0)), clone(m.Frame(1)))
}

// leave closes the connection. It is safe for use from any goroutine, and does nothing the second time.
func (w *directWay) leave() {
	w.up.link.loop.Do(func() {
		if w.over {
			return
		}
		w.over = true
		w.settle(errors.New("the hit has ended"))
		if w.ep != nil {
			delete(w.up.directs.ways, w.peer)
			_ = w.sender.SendOn(w.peer, &wire.Header{Type: wire.Bye})
			w.ep.Shut()
		}
	})
}

// abandon gives up a hit that nobody will get.
func (u *uplink) abandon(h *Hit) {
	u.drop(h.handle)
	u.closeAt(h)
	h.end(wire.IsClosed, 0, "the hit was closed", nil)
}

func (u *uplink) closeAt(h *Hit) {
	_ = u.link.ep.Sender().SendOn(h.peer, &wire.Header{Type: wire.Close, Hit: h.handle, Epoch: h.epoch})
}

// busy reports whether calls are under way.
func (h *Hit) busy() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.calls) > 0 || h.down != nil
}

// Direct reports whether the hit's calls go to its worker without passing the broker.
func (h *Hit) Direct() bool { return h.direct != nil }

// send sends a message of a call, by the hit's way.
func (h *Hit) send(head *wire.Header, frames ...[]byte) error {
	head.Hit = h.handle
	if w := h.direct; w != nil {
		head.Epoch = w.epoch
		return w.sender.SendOn(w.peer, head, frames...)
	}
	head.Epoch = h.epoch
	return h.up.link.ep.Sender().SendOn(h.peer, head, frames...)
}

// sendBlock sends a part of a call's body, by the hit's way.
func (h *Hit) sendBlock(head *wire.Header, b *zmqsock.Block, n int) error {
	head.Hit = h.handle
	if w := h.direct; w != nil {
		head.Epoch = w.epoch
		return w.sender.SendBlock(w.peer, head, b, n)
	}
	head.Epoch = h.epoch
	return h.up.link.ep.Sender().SendBlock(h.peer, head, b, n)
}

// unsent is why a call could not be sent.
func (h *Hit) unsent() *Error {
	if h.direct == nil {
		return h.up.gone(NeverStarted)
	}
	return &Error{Status: wire.WorkerGone, Outcome: NeverStarted, Text: "the direct connection to worker " + h.worker + " is lost: open another hit"}
}

// Route says which way the calls of a hit take.
type Route int

// The routes.
const (
	// Routed sends all calls through the broker.
	Routed Route = iota
	// Direct sends them to the worker's own endpoint. A worker that offers none, or is not reached there, is an error.
	Direct
	// DirectOrRouted is Direct where that is possible, else Routed.
	DirectOrRouted
)

// directPatience is the default of ClientConfig.DirectPatience.
const directPatience = 5 * time.Second

// openRoute opens a hit that should be direct.
func (c *Client) openRoute(ctx context.Context, r OpenRequest) (*Hit, error) {
	h, err := c.openOn(ctx, r, wire.Direct)
	if err == nil {
		err = h.direct.meet(ctx)
	}
	if err == nil {
		return h, nil
	}
	if r.Route == DirectOrRouted && ctx.Err() == nil && (errors.Is(err, ErrNoDirectWay) || errors.Is(err, ErrUnknownService)) {
		return c.openOn(ctx, r, 0)
	}
	return nil, err
}
