package bridge

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Sender is the way to the broker of a DEALER endpoint. Send may be called from any goroutine; messages of several goroutines leave in
// one batch.
type Sender struct {
	ep   *Endpoint
	mu   sync.Mutex
	out  *zmqsock.Out // being written, under mu
	back *zmqsock.Out // being sent, the loop's
	sock *zmqsock.Socket
	peer wire.Peer

	sent    bool // anything on this connection, under mu
	sentAny bool // anything since the last probe, under mu

	// The loop's alone.
	hits     map[uint64]*actor.PID // who serves a hit here
	broker   string                // incarnation that WELCOME named last
	received uint64                // bytes from the broker, WELCOME included
	acked    uint64
	window   uint64 // 0 until WELCOME
}

func newSender(ep *Endpoint) *Sender {
	return &Sender{ep: ep, out: zmqsock.NewOut(), back: zmqsock.NewOut(), hits: make(map[uint64]*actor.PID)}
}

// attach begins a fresh connection: what was not sent on the old one, and all credit, is void.
func (s *Sender) attach(sock *zmqsock.Socket, peer wire.Peer) {
	s.mu.Lock()
	s.out.Reset()
	s.sock, s.peer, s.sent, s.sentAny = sock, peer, false, false
	s.mu.Unlock()
	s.broker, s.received, s.acked, s.window = "", 0, 0, 0
	clear(s.hits)
}

// detach makes sends fail until attach: the socket is about to be closed.
func (s *Sender) detach() {
	s.mu.Lock()
	s.sock = nil
	s.out.Reset()
	s.mu.Unlock()
}

// Send sends a message to the broker; the bytes are copied, header and body are the caller's again. It never blocks.
func (s *Sender) Send(h *wire.Header, body ...[]byte) error { return s.SendOn(0, h, body...) }

// SendOn is Send on one connection only: when the broker is meanwhile another peer, the message is not sent and the error is wire.ErrNoPeer.
func (s *Sender) SendOn(peer wire.Peer, h *wire.Header, body ...[]byte) error {
	s.mu.Lock()
	if s.sock == nil || (peer != 0 && peer != s.peer) {
		s.mu.Unlock()
		return wire.ErrNoPeer
	}
	first := s.out.Len() == 0
	i := s.out.Add(s.sock, nil, true)
	h.Put(s.out.Header(i))
	for _, b := range body {
		s.out.Append(b)
	}
	s.sent, s.sentAny = true, true
	s.mu.Unlock()
	if first {
		s.ep.loop.q.rouse()
	}
	return nil
}

// SendBlock is SendOn with the first n bytes of a block as its body, which are not copied. The block is the sender's from here on, also when the
// message is not sent.
func (s *Sender) SendBlock(peer wire.Peer, h *wire.Header, b *zmqsock.Block, n int) error {
	s.mu.Lock()
	if s.sock == nil || (peer != 0 && peer != s.peer) {
		s.mu.Unlock()
		b.Free()
		return wire.ErrNoPeer
	}
	first := s.out.Len() == 0
	h.Put(s.out.Header(s.out.Add(s.sock, nil, true)))
	s.out.AppendBlock(b, n)
	s.sent, s.sentAny = true, true
	s.mu.Unlock()
	if first {
		s.ep.loop.q.rouse()
	}
	return nil
}

func (s *Sender) pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Len() > 0
}

// flush sends what was written since; it returns how many messages, and whether the connection took them all.
func (s *Sender) flush() (int, bool) {
	s.mu.Lock()
	if s.out.Len() == 0 {
		s.mu.Unlock()
		return 0, true
	}
	s.out, s.back = s.back, s.out
	s.mu.Unlock()
	n := s.back.Len()
	refused := s.back.Send()
	s.back.Reset()
	s.ep.loop.stats.Sent.Add(uint64(n - refused))
	s.ep.loop.stats.Unsent.Add(uint64(refused))
	return n, refused == 0
}

// acknowledge counts received bytes and sends CREDIT after each half window.
func (s *Sender) acknowledge(size int) {
	s.received += uint64(size)
	if s.window == 0 || s.received-s.acked < s.window/2 {
		return
	}
	s.acked = s.received
	_ = s.Send(&wire.Header{Type: wire.Credit, Arg: wire.CreditArg(s.received + s.window)})
}

// welcome takes the window. All credit for an earlier incarnation of the broker is void.
func (s *Sender) welcome(m *wire.Message) {
	w, err := wire.ParseWelcome(m.Frame(0))
	if err != nil {
		return
	}
	s.window = uint64(max(w.Window, minWindow))
	if s.broker != w.Incarnation {
		s.broker, s.received, s.acked = w.Incarnation, uint64(m.Size), 0
	}
}

// Bind makes messages of a hit go to pid, as copies. It belongs to the loop's goroutine.
func (s *Sender) Bind(handle uint64, pid *actor.PID) { s.hits[handle] = pid }

// Unbind forgets a hit. It belongs to the loop's goroutine.
func (s *Sender) Unbind(handle uint64) { delete(s.hits, handle) }

// probe sends PING when nothing was sent since the last call. Before WELCOME it does so only on inproc, where a broker that has
// gone can be noticed by nothing else, and only after a greeting.
func (s *Sender) probe(inproc bool) {
	s.mu.Lock()
	due := !s.sentAny && (s.window > 0 || (inproc && s.sent))
	s.sentAny = false
	s.mu.Unlock()
	if !due {
		return
	}
	_ = s.Send(&wire.Header{Type: wire.Ping})
	s.mu.Lock()
	s.sentAny = false
	s.mu.Unlock()
}

// close makes all sends fail for good. The socket is still open, for its linger.
func (s *Sender) close() {
	s.mu.Lock()
	s.sock = nil
	s.out.Free()
	s.mu.Unlock()
	s.back.Free()
}
