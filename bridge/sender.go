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

	hits     map[uint64]*actor.PID // the loop's: who serves a hit here
	received uint64                // bytes from the broker on this connection, the loop's
	acked    uint64
	window   uint64 // 0 until WELCOME
	sentAny  bool   // since the last probe, under mu
}

func newSender(ep *Endpoint) *Sender {
	return &Sender{ep: ep, out: zmqsock.NewOut(), back: zmqsock.NewOut(), hits: make(map[uint64]*actor.PID)}
}

// attach begins a fresh connection: what was not sent on the old one, and all credit, is void.
func (s *Sender) attach(sock *zmqsock.Socket, peer wire.Peer) {
	s.mu.Lock()
	s.out.Reset()
	s.sock, s.peer = sock, peer
	s.mu.Unlock()
	s.received, s.acked, s.window = 0, 0, 0
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
	s.sentAny = true
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

func (s *Sender) welcome(m *wire.Message) {
	if w, err := wire.ParseWelcome(m.Frame(0)); err == nil {
		s.window = uint64(max(w.Window, minWindow))
	}
}

// Bind makes messages of a hit go to pid, as copies. It belongs to the loop's goroutine.
func (s *Sender) Bind(handle uint64, pid *actor.PID) { s.hits[handle] = pid }

// Unbind forgets a hit. It belongs to the loop's goroutine.
func (s *Sender) Unbind(handle uint64) { delete(s.hits, handle) }

// quiet reports whether nothing was sent since the last call.
func (s *Sender) quiet() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := !s.sentAny
	s.sentAny = false
	return q
}

func (s *Sender) close() {
	s.mu.Lock()
	s.sock = nil
	s.out.Free()
	s.mu.Unlock()
	s.back.Free()
}
