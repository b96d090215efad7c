package bridge

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Guest is one peer of a direct ROUTER, to whoever serves it. Messages of several goroutines leave in one batch, in the order in which they
// were sent to the guest.
type Guest struct {
	posts *posts
	ref   wire.Peer
	id    []byte // routing id

	// Under the lock of posts:
	window window
	queue  []*wire.Message // what the window has no room for, owning its bytes
	bytes  int             // in the queue
	gone   bool            // nothing is sent any more
}

// posts is what all goroutines have written to the guests of one endpoint since the last batch.
type posts struct {
	ep     *Endpoint
	mu     sync.Mutex
	out    *zmqsock.Out // being written, under mu
	to     []*Guest     // of each message in out
	back   *zmqsock.Out // being sent, the loop's
	backTo []*Guest
	slow   []*Guest // those who do not read
}

func newPosts(ep *Endpoint) *posts {
	return &posts{ep: ep, out: zmqsock.NewOut(), back: zmqsock.NewOut()}
}

// Guest makes a peer of a direct ROUTER somebody to write to, with a window of the given size in bytes, which is to be told it by the next message.
// It belongs to the loop's goroutine; nil if the peer is gone.
func (ep *Endpoint) Guest(ref wire.Peer, window int64) *Guest {
	p := ep.loop.peerByRef(ref)
	if p == nil || p.ep != ep || ep.posts == nil {
		return nil
	}
	if p.guest == nil {
		g := &Guest{posts: ep.posts, ref: ref, id: p.id}
		g.window.open(window)
		ep.posts.mu.Lock() // whoever credits it holds it
		p.guest = g
		ep.posts.mu.Unlock()
	}
	return p.guest
}

// Peer returns the guest's connection.
func (g *Guest) Peer() wire.Peer { return g.ref }

// Send sends a message to the guest; the bytes are copied, header and body are the caller's again. It never blocks. The error is wire.ErrNoPeer or
// wire.ErrPeerSlow: a guest that leaves its window and a queue of the same size unread is disconnected. It is safe for use from any goroutine.
func (g *Guest) Send(h *wire.Header, body ...[]byte) error {
	p := g.posts
	size := wire.HeaderSize
	for _, b := range body {
		size += len(b)
	}
	p.mu.Lock()
	if g.gone {
		p.mu.Unlock()
		return wire.ErrNoPeer
	}
	if len(g.queue) > 0 || !g.window.fits(size) {
		err := g.keep(size, h, body)
		p.mu.Unlock()
		return err
	}
	first := p.out.Len() == 0
	g.write(size, h, body)
	p.mu.Unlock()
	if first {
		p.ep.loop.q.rouse()
	}
	return nil
}

// SendBlock is Send of a message with one frame of body, the first n bytes of the block, which are not copied. It takes the block, also where it fails.
func (g *Guest) SendBlock(h *wire.Header, b *zmqsock.Block, n int) error {
	p := g.posts
	p.mu.Lock()
	if g.gone || len(g.queue) > 0 || !g.window.fits(wire.HeaderSize+n) {
		p.mu.Unlock()
		defer b.Free()
		return g.Send(h, b.Bytes()[:n])
	}
	first := p.out.Len() == 0
	g.write(wire.HeaderSize+n, h, nil)
	p.out.AppendBlock(b, n)
	p.mu.Unlock()
	if first {
		p.ep.loop.q.rouse()
	}
	return nil
}

// write puts a message into the batch. The lock is held.
func (g *Guest) write(size int, h *wire.Header, body [][]byte) {
	p := g.posts
	g.window.sent += uint64(size)
	i := p.out.Add(p.ep.sock, g.id, true)
	h.Put(p.out.Header(i))
	for _, b := range body {
		p.out.Append(b)
	}
	p.to = append(p.to, g)
}

// keep lets a message wait for the window. The lock is held.
func (g *Guest) keep(size int, h *wire.Header, body [][]byte) error {
	if len(g.queue) > 0 && int64(g.bytes+size) > g.window.size {
		g.leave()
		g.posts.slow = append(g.posts.slow, g)
		g.posts.ep.loop.q.rouse()
		return wire.ErrPeerSlow
	}
	g.queue = append(g.queue, wire.NewMessage(*h, body...).Copy())
	g.bytes += size
	return nil
}

// leave makes all sends fail. The lock is held.
func (g *Guest) leave() { g.gone, g.queue, g.bytes = true, nil, 0 }

// credit takes the guest's acknowledgement and sends what waited for it. It runs on the loop.
func (g *Guest) credit(arg uint32) {
	p := g.posts
	p.mu.Lock()
	defer p.mu.Unlock()
	if !g.window.credit(arg) {
		return
	}
	for len(g.queue) > 0 && g.window.fits(g.queue[0].Size) {
		m := g.queue[0]
		g.queue[0] = nil
		g.queue = g.queue[1:]
		g.bytes -= m.Size
		g.write(m.Size, &m.Header, m.Body)
	}
}

// dismiss makes all sends to a peer that is gone fail.
func (p *posts) dismiss(g *Guest) {
	p.mu.Lock()
	g.leave()
	p.mu.Unlock()
}

func (p *posts) pending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Len() > 0 || len(p.slow) > 0
}

// flush sends what was written since, and hangs up on those who do not read. It returns how many messages there were.
func (p *posts) flush() int {
	p.mu.Lock()
	n := p.out.Len()
	slow := p.slow
	p.slow = nil
	if n > 0 {
		p.out, p.back = p.back, p.out
		p.to, p.backTo = p.backTo[:0], p.to
	}
	p.mu.Unlock()
	l := p.ep.loop
	if n > 0 {
		refused := p.back.Send()
		l.stats.Sent.Add(uint64(n - refused))
		if refused > 0 {
			p.failures(refused)
		}
		p.back.Reset()
		clear(p.backTo)
	}
	for _, g := range slow {
		l.stats.HungUp.Add(1)
		l.HangUp(g.ref, "window", fmt.Sprintf("it does not read: its window of %d bytes is full, and as much waits", g.window.size))
	}
	return n + len(slow)
}

// failures gives up the guests that libzmq takes nothing for any more.
func (p *posts) failures(refused int) {
	l := p.ep.loop
	l.stats.Unsent.Add(uint64(refused))
	for i, g := range p.backTo {
		err := p.back.Err(i)
		peer := l.peerByRef(g.ref)
		switch {
		case err == nil || peer == nil:
		case peer.end != nil:
			peer.end.confirm(p.ep.round)
		case errors.Is(err, syscall.EAGAIN):
			l.hangUp(peer, "window", "a message to it was refused: more wait in its connection than its window allows")
		default:
			l.lose(peer, "unreachable", "a message to it was refused: no connection has its routing id any more")
		}
	}
}

// free gives all memory back.
func (p *posts) free() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.to {
		g.leave()
	}
	for _, q := range p.ep.peers {
		if q != nil && q.guest != nil {
			q.guest.leave()
		}
	}
	p.out.Free()
	p.back.Free()
}

// direct is a hit at a direct ROUTER: who may speak for it, under which epoch, and who takes what they say.
type direct struct {
	peer  wire.Peer
	epoch uint32
	take  func(*wire.Message)
}

// BindHit makes the calls, and what belongs to them, that a peer of a direct ROUTER sends under an epoch of a hit go to take, which is called on the loop and copies what it keeps.
// It belongs to the loop's goroutine.
func (ep *Endpoint) BindHit(handle uint64, epoch uint32, peer wire.Peer, take func(*wire.Message)) {
	if ep.hits == nil {
		ep.hits = make(map[uint64]direct)
	}
	ep.hits[handle] = direct{peer, epoch, take}
}

// UnbindHit forgets a hit of a direct ROUTER. It belongs to the loop's goroutine.
func (ep *Endpoint) UnbindHit(handle uint64) { delete(ep.hits, handle) }

// toHit takes what a peer of a direct ROUTER says of a hit, and reports whether the keeper need not hear of it. Hits of others and hits that are
// over are not told apart.
func (ep *Endpoint) toHit(p *peer, m *wire.Message) bool {
	h, ok := ep.hits[m.Header.Hit]
	switch {
	case !ok || h.peer != p.ref:
		if m.Header.Type == wire.Call {
			ep.refuse(p.id, m, &wire.BadMessage{Status: wire.UnknownHit, Text: fmt.Sprintf("hit %x is not open on this connection: open another one at the broker", m.Header.Hit)})
		} else {
			ep.loop.stats.refuse(wire.UnknownHit) // it may have crossed the hit's end
		}
	case h.epoch != m.Header.Epoch:
		ep.refuse(p.id, m, &wire.BadMessage{Status: wire.StaleEpoch, Text: fmt.Sprintf(
			"%v of hit %x under epoch %d, which is over: take the epoch from WELCOME", m.Header.Type, m.Header.Hit, m.Header.Epoch)})
	case toSlots[m.Header.Type]:
		h.take(m)
	default:
		return false
	}
	return true
}

// toSlots are the types that go to whoever serves the hit, in their order; the others go to the keeper.
var toSlots = [256]bool{wire.Call: true, wire.Part: true, wire.Cancel: true, wire.Credit: true}
