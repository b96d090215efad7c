package assigner

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"runtime/debug"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// clientSide is the client as its registrar sees it, on the loop.
type clientSide Client

func (s *clientSide) greet() {
	_ = s.link.ep.Sender().Send(&wire.Header{Type: wire.Hello}, wire.JSON(wire.HelloInfo{Name: s.cfg.Name, Lang: "go"}))
}

func (s *clientSide) usable(w wire.WelcomeInfo) {
	c := (*Client)(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maxBody.Store(w.MaxBody)
	c.peer = c.link.ep.Broker()
	if !c.isUp {
		c.isUp = true
		close(c.up)
	}
}

// lost fails everything that was under way on the connection that is gone.
func (s *clientSide) lost(reason string) {
	c := (*Client)(s)
	c.mu.Lock()
	c.reason = reason
	if c.isUp {
		c.isUp = false
		c.up = make(chan struct{})
	}
	c.mu.Unlock()
	c.failAll(c.gone(Unknown))
}

func (s *clientSide) failed(status wire.Status, reason string) {
	s.link.logger.Error("the broker refuses this client", "status", status.String(), "reason", reason)
}

// failAll ends all hits, opens and requests with this error; calls under way have an unknown outcome.
func (c *Client) failAll(e *Error) {
	c.mu.Lock()
	opens, hits := c.opens, c.hits
	c.opens, c.hits = make(map[uint64]*pending), make(map[uint64]*Hit)
	c.mu.Unlock()
	for _, p := range opens {
		failed := *e
		failed.Outcome = p.outcome()
		c.settle(p, answer{err: &failed})
	}
	for _, h := range hits {
		h.end(e.Status, 1<<32-1, e.Text, e.Why)
	}
}

// message takes everything but the registration.
func (s *clientSide) message(m *wire.Message) {
	c := (*Client)(s)
	switch m.Header.Type {
	case wire.Reply, wire.Error:
		c.answered(m)
	case wire.Working:
		c.working(m)
	case wire.Opened:
		c.opened(m)
	case wire.Closed:
		c.hitClosed(m)
	case wire.Report:
		if p := c.takeOpen(uint64(m.Header.Arg)); p != nil {
			c.settle(p, toAnswer(m))
		}
	}
}

func (c *Client) hit(handle uint64) *Hit {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hits[handle]
}

func (c *Client) takeOpen(ref uint64) *pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.opens[ref]
	delete(c.opens, ref)
	return p
}

func (c *Client) answered(m *wire.Message) {
	if m.Header.Flags.Has(wire.Ref) {
		if p := c.takeOpen(m.Header.Hit); p != nil {
			c.settle(p, toAnswer(m))
		}
		return
	}
	if h := c.hit(m.Header.Hit); h != nil && h.answered(m) {
		if m.Header.Flags.Has(wire.Last) {
			c.drop(m.Header.Hit)
		}
		return
	}
	if m.Header.Type == wire.Error && m.Header.Hit == 0 {
		c.adminRefused(m)
	}
}

// adminRefused: an ERROR to an ADMIN has its arg as seq.
func (c *Client) adminRefused(m *wire.Message) {
	c.link.logger.Warn("the broker refused a message", "status", m.Header.Status.String(), "text", string(m.Frame(0)))
	if p := c.takeOpen(uint64(m.Header.Seq)); p != nil {
		c.settle(p, toAnswer(m))
	}
}

func (c *Client) working(m *wire.Message) {
	if m.Header.Flags.Has(wire.Ref) {
		c.mu.Lock()
		p := c.opens[m.Header.Hit]
		c.mu.Unlock()
		c.report(p, m)
		return
	}
	if h := c.hit(m.Header.Hit); h != nil {
		c.report(h.call(m.Header.Seq), m)
	}
}

// report tells the caller of p, if there is one, how far it has come.
func (c *Client) report(p *pending, m *wire.Message) {
	if p == nil || p.progress == nil || p.settled.Load() {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			c.link.logger.Error("a Progress function panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	p.progress(Progress{Done: float64(m.Header.Arg) / 10000, Note: string(m.Frame(0))})
}

// opened makes the hit; if nobody wants it any more it is closed at once.
func (c *Client) opened(m *wire.Message) {
	c.mu.Lock()
	p := c.opens[m.Header.Hit]
	delete(c.opens, m.Header.Hit)
	if p == nil || len(m.Frame(0)) != 8 {
		c.mu.Unlock()
		if p != nil {
			c.settle(p, answer{err: &Error{Status: wire.BadFrame, Outcome: p.outcome(), Text: "the broker's OPENED has no handle: is it a HIT/1 broker?"}})
		}
		return
	}
	handle := binary.BigEndian.Uint64(m.Frame(0))
	h := &Hit{client: c, handle: handle, epoch: m.Header.Epoch, peer: m.From, service: p.service, worker: string(m.Frame(1)), thread: int(m.Header.Arg)}
	c.hits[handle] = h
	c.mu.Unlock()
	if !c.settle(p, answer{hit: h}) {
		_ = c.link.ep.Sender().SendOn(h.peer, &wire.Header{Type: wire.Close, Hit: handle, Epoch: h.epoch})
	}
}

func (c *Client) hitClosed(m *wire.Message) {
	if m.Header.Flags.Has(wire.Ref) {
		return
	}
	h := c.hit(m.Header.Hit)
	c.drop(m.Header.Hit)
	if h != nil {
		h.end(m.Header.Status, m.Header.Arg, string(m.Frame(0)), clone(m.Frame(1)))
	}
}

func (c *Client) drop(handle uint64) {
	c.mu.Lock()
	delete(c.hits, handle)
	c.mu.Unlock()
}

// toAnswer turns a REPLY, REPORT or ERROR into an answer that owns its bytes.
func toAnswer(m *wire.Message) answer {
	if m.Header.Type == wire.Error {
		return answer{err: &Error{Status: m.Header.Status, Outcome: Outcome(m.Header.Arg), Text: string(m.Frame(0)), Why: clone(m.Frame(1))}}
	}
	if len(m.Body) == 1 {
		return answer{frames: [][]byte{append(make([]byte, 0, len(m.Body[0])), m.Body[0]...)}}
	}
	return answer{frames: m.Copy().Body}
}

// refusal reports an ERROR of the broker that refused a call before it reached the worker: its seq is free again. Workers
// answer calls with other statuses.
func refusal(m *wire.Message) bool {
	switch m.Header.Status {
	case wire.BadFrame, wire.BadVersion, wire.BadType, wire.BadFlag, wire.TooLarge, wire.BadSeq, wire.QueueFull, wire.PeerSlow, wire.WorkerGone, wire.StaleEpoch:
		return m.Header.Type == wire.Error && m.Header.Arg == uint32(wire.NeverStarted)
	}
	return false
}

func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

func randomName() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
