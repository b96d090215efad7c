package bridge

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// libzmq tells of each message which descriptor it came from, and of each descriptor when a connection begins and ends on it. Descriptors are reused
// at once, though, and messages wait in libzmq while connections come and go. So what is said over a descriptor that has changed hands
// is in doubt until the socket has been found empty; whoever was met in that time is probed until it speaks again.
const (
	fdClosed  = 1 << iota // its connection is closed
	fdRecent              // one was closed on it since the socket was found empty
	fdDoubt               // and another one began
	fdIgnored             // its peer was given up before
)

// hear takes in what happened to connections and returns how many were lost. Their peers are given up after what they said last was read.
func (p *Plain) hear() int {
	p.events = p.sock.Events(p.events[:0])
	n := 0
	for _, e := range p.events {
		if e.Kind == zmqsock.Connected {
			p.begun(e)
		}
		if e.Kind == zmqsock.Disconnected {
			n++
			p.ended(e)
		}
	}
	return n
}

// begun takes in that a connection begins on a descriptor: whoever had it is gone.
func (p *Plain) begun(e zmqsock.Event) {
	if p.fds[e.FD]&fdRecent != 0 {
		p.fds[e.FD] = fdRecent | fdDoubt
	} else {
		delete(p.fds, e.FD)
	}
	if old := p.byFD[e.FD]; old != nil {
		p.giveUp(old, "disconnected", fmt.Sprintf("descriptor %d belongs to another peer now", e.FD))
		old.reused = true
		delete(p.byFD, e.FD)
	}
}

func (p *Plain) ended(e zmqsock.Event) {
	p.fds[e.FD] |= fdClosed | fdRecent
	p.recent = append(p.recent, e.FD)
	if peer := p.byFD[e.FD]; peer != nil {
		p.giveUp(peer, "disconnected", fmt.Sprintf("its connection (descriptor %d at %s) was closed", e.FD, e.Addr))
	}
}

// claim notes that a peer speaks over its descriptor now. libzmq reports the end of a connection before it closes the descriptor, so one
// that has not ended afterwards was still open when it was identified.
func (p *Plain) claim(peer *plainPeer) {
	if owner := p.byFD[peer.fd]; owner != nil && owner != peer {
		p.lose(owner, loss{actor.TerminatedReason_AddressTerminated, "disconnected", fmt.Sprintf("descriptor %d belongs to another peer now", peer.fd)})
	}
	p.byFD[peer.fd], peer.unsure = peer, false
	conn := zmqsock.Identify(peer.fd)
	p.hear()
	if p.fds[peer.fd]&fdClosed != 0 {
		p.giveUp(peer, "disconnected", "its connection was closed before what it said was read")
	}
	if !peer.ending {
		peer.conn = conn
	}
}

// giveUp marks a peer as lost.
func (p *Plain) giveUp(peer *plainPeer, detector, detail string) {
	if peer.ending {
		return
	}
	peer.ending, peer.why = true, loss{actor.TerminatedReason_AddressTerminated, detector, detail}
	p.ending = append(p.ending, peer)
}

// maxLastWords bounds how many batches are read before a lost peer is given up although the socket is not yet empty.
const maxLastWords = 64

// bury gives up the peers whose last words were read: all that was there when they were lost has been received.
func (p *Plain) bury(received int) {
	if received == 0 && len(p.recent) > 0 {
		p.certain()
	}
	if len(p.ending) == 0 {
		return
	}
	if p.rounds++; received > 0 && p.rounds < maxLastWords {
		return
	}
	for i, peer := range p.ending {
		if received > 0 {
			p.ignore(peer)
		}
		p.lose(peer, peer.why)
		p.succeed(peer)
		p.ending[i] = nil
	}
	p.ending, p.rounds = p.ending[:0], 0
}

// succeed admits the next incarnation of a lost peer if what was taken for last words may have been its first. If not, a probe will tell.
func (p *Plain) succeed(peer *plainPeer) {
	owner := p.byFD[peer.fd]
	if peer.heir && p.peers[peer.identity] == nil && (owner == nil || owner.unsure) {
		p.admit(peer.id, peer.fd, true)
	}
}

// certain ends all doubt: the socket is empty, so what comes next is of the connections that are open.
func (p *Plain) certain() {
	for _, fd := range p.recent {
		if p.fds[fd] &^= fdRecent | fdDoubt; p.fds[fd] == 0 {
			delete(p.fds, fd)
		}
	}
	p.recent = p.recent[:0]
}

// ignore makes what a lost peer's connection still says go unheard.
func (p *Plain) ignore(old *plainPeer) {
	if old.fd >= 0 && !old.reused && !old.unsure {
		p.fds[old.fd] |= fdIgnored
	}
}

// cut ends the connection of a lost peer.
func (p *Plain) cut(old *plainPeer) {
	if err := old.conn.Hangup(); err != nil && old.conn.Known() && !errors.Is(err, zmqsock.ErrOtherConn) {
		p.loop.cfg.Logger.Warn("cannot hang up", "identity", old.identity, "error", err)
	}
}
