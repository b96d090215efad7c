package bridge

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// errorAddress is the first frame of what tells a peer that its message reached nobody.
const errorAddress = "~error"

// receive takes one batch and delivers it. It returns how many messages came.
func (p *Plain) receive() (int, error) {
	l := p.loop
	a, err := l.take()
	if err != nil {
		return 0, err
	}
	defer a.Release()
	n, err := a.in.Recv(p.sock, l.cfg.Batch, zmqsock.AllTypes)
	if n > 0 {
		// A connection's end must be known before its descriptor can mean another one.
		p.hear()
	}
	for i := range n {
		p.fromPeer(a, i)
	}
	p.bury(n)
	l.stats.Received.Add(uint64(n))
	return n, err
}

// fromPeer delivers message i: routing id, address, body.
func (p *Plain) fromPeer(a *arena, i int) {
	meta := a.in.Meta(i)
	start := len(a.frames)
	a.frames = a.in.Frames(i, a.frames)
	frames := a.frames[start:]
	peer := p.meet(frames[0], meta.FD)
	if peer == nil {
		return
	}
	if len(frames) < 2 {
		p.stats.Bad.Add(1)
		return
	}
	addr, body := frames[1], frames[2:]
	if len(addr) == 0 && len(body) == 0 {
		return // a greeting (ZMQ_PROBE_ROUTER): it has made the peer known
	}
	size := meta.Size - len(frames[0]) - len(addr)
	switch limit := p.loop.cfg.MaxBody; {
	case meta.Dropped > 0:
		p.bad(peer, addr, fmt.Sprintf("%d body frames: at most %d are possible: send fewer", len(body)+meta.Dropped, len(body)))
	case size > limit:
		p.bad(peer, addr, fmt.Sprintf("%d bytes of body: the limit is %d (Config.MaxBody): send less", size, limit))
	default:
		p.deliver(peer, addr, body, size)
	}
}

// deliver sends a copy of a message to the actor it is for.
func (p *Plain) deliver(peer *plainPeer, addr []byte, body [][]byte, size int) {
	to := p.resolve(peer, addr)
	if to == nil {
		return
	}
	p.system.Root.Send(to, &actor.MessageEnvelope{Message: newMessage(peer, body, size), Sender: peer.pid})
}

// resolve returns the living actor of an address. If there is none, the message is counted and, unless it was an answer, refused.
func (p *Plain) resolve(peer *plainPeer, addr []byte) *actor.PID {
	if len(addr) == 0 {
		if p.cfg.Default == nil || !p.alive(p.cfg.Default) {
			p.unknown(peer, addr, "the address is empty and there is no default actor (PlainConfig.Default): write the actor's name into the first frame")
			return nil
		}
		return p.cfg.Default
	}
	if addr[0] == reserved {
		p.mu.Lock()
		to := peer.replies.answer(addr)
		p.mu.Unlock()
		if to == nil || !p.alive(to) {
			p.stats.Late.Add(1)
			return nil
		}
		return to
	}
	p.mu.Lock()
	to := p.names.lookup(addr, p.alive)
	p.mu.Unlock()
	if to == nil {
		p.unknown(peer, addr, fmt.Sprintf("no actor is registered under %q: it has ended, or is spelled otherwise", addr))
	}
	return to
}

func (p *Plain) unknown(peer *plainPeer, addr []byte, text string) {
	p.stats.Unknown.Add(1)
	p.refuse(peer, addr, text)
}

func (p *Plain) bad(peer *plainPeer, addr []byte, text string) {
	p.stats.Bad.Add(1)
	p.refuse(peer, addr, text)
}

// refuse tells a peer why its message reached nobody. What was sent to an address of ours is never answered, so that two endpoints
// cannot keep each other busy. A REQ socket, which knows only the empty address, takes only what begins with an empty frame.
func (p *Plain) refuse(peer *plainPeer, addr []byte, text string) {
	if len(addr) > 0 && addr[0] == reserved {
		return
	}
	first, body := []byte(errorAddress), [][]byte{addr, []byte(text)}
	if len(addr) == 0 {
		first, body = nil, [][]byte{[]byte(errorAddress), addr, []byte(text)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.write(peer, letter{}, first, body)
}
