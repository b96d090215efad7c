package bridge

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// plainPeer is one incarnation of an identity: from its first message to the loss of its connection.
type plainPeer struct {
	identity string
	id       []byte // the same, as libzmq wants it
	pid      *actor.PID

	// The loop's alone.
	fd     int // descriptor of its connection, -1 where libzmq tells none (inproc)
	conn   zmqsock.Conn
	ending bool // its connection is lost
	seized bool // it has taken the identity from a living connection
	reused bool // and its descriptor is another connection's by now
	why    loss

	// Under the endpoint's mutex.
	watchers map[pidKey]*actor.PID
	replies  replies
	queued   int  // messages in out
	sent     bool // since the last probe
}

// What is known of a descriptor until it is the next connection's.
const (
	fdClosed  = 1 << iota // its connection is closed
	fdIgnored             // its peer was given up before
)

// loss is why a peer is given up.
type loss struct {
	reason   actor.TerminatedReason
	detector string
	detail   string
}

// PeerJoined tells a Keeper that an identity is reachable under its PID.
type PeerJoined struct {
	PID      *actor.PID
	Identity string
}

// PeerLeft tells a Keeper that a peer is lost, and how that was noticed: by the detector "disconnected", "unreachable", "replaced",
// "stopped" or "closed".
type PeerLeft struct {
	PID      *actor.PID
	Identity string
	Detector string
	Detail   string
}

// pidKey is what makes two PIDs the same.
type pidKey struct{ address, id string }

func keyOf(pid *actor.PID) pidKey { return pidKey{pid.Address, pid.Id} }

// alive reports whether somebody has the PID now.
func (p *Plain) alive(pid *actor.PID) bool {
	_, ok := p.system.ProcessRegistry.Get(pid)
	return ok
}

// meet returns the peer that a message came from, a new one if need be. It is nil for a connection that was given up.
func (p *Plain) meet(id []byte, fd int) *plainPeer {
	if p.fds[fd]&fdIgnored != 0 {
		p.stats.Ignored.Add(1)
		return nil
	}
	if owner := p.byFD[fd]; owner != nil {
		// Last words come under an id of libzmq's own where a newer connection has taken the identity meanwhile.
		if owner.identity == string(id) || owner.ending && id[0] == 0 {
			return owner
		}
		p.lose(owner, loss{actor.TerminatedReason_AddressTerminated, "disconnected", fmt.Sprintf("descriptor %d belongs to another peer now", fd)})
	}
	old := p.peers[string(id)]
	if old != nil && fd < 0 && old.fd < 0 {
		return old
	}
	seized := old != nil && p.supersede(old)
	peer := p.admit(id, fd)
	peer.seized = seized
	return peer
}

// supersede gives up a peer whose identity has come back over another connection, and reports whether it was taken from a living one.
//
// libzmq leaves that one open and deaf. It may be the real peer, and the new one what a closed socket still had to send, so it is
// hung up on: it connects again and has the identity back. That is done once; two peers that share an identity would otherwise
// take it from each other for ever.
func (p *Plain) supersede(old *plainPeer) bool {
	if old.ending {
		p.lose(old, old.why)
		return false
	}
	p.loop.cfg.Logger.Warn("a connection has taken the identity of another: give each peer its own, or none", "identity", old.identity)
	p.lose(old, loss{actor.TerminatedReason_AddressTerminated, "replaced", "the identity came back over another connection"})
	p.ignore(old)
	if !old.seized {
		p.cut(old)
	}
	return true
}

// ignore makes what a lost peer's connection still says go unheard.
func (p *Plain) ignore(old *plainPeer) {
	if old.fd >= 0 && !old.reused {
		p.fds[old.fd] |= fdIgnored
	}
}

// cut ends the connection of a lost peer.
func (p *Plain) cut(old *plainPeer) {
	if err := old.conn.Hangup(); err != nil && old.conn.Known() && !errors.Is(err, zmqsock.ErrOtherConn) {
		p.loop.cfg.Logger.Warn("cannot hang up", "identity", old.identity, "error", err)
	}
}

// admit makes an identity reachable.
func (p *Plain) admit(id []byte, fd int) *plainPeer {
	identity := string(id)
	peer := &plainPeer{identity: identity, id: []byte(identity), pid: p.PID(identity), fd: fd}
	p.mu.Lock()
	p.peers[identity] = peer
	p.mu.Unlock()
	p.system.ProcessRegistry.Add(&process{p, identity}, peer.pid.Id)
	p.stats.Peers.Add(1)
	p.loop.stats.Peers.Add(1)
	p.loop.cfg.Logger.Debug("peer joined", "identity", identity, "pid", peer.pid.Id)
	if p.cfg.Keeper != nil {
		p.system.Root.Send(p.cfg.Keeper, &PeerJoined{peer.pid, identity})
	}
	p.identify(peer)
	return peer
}

// identify notes which connection a peer speaks on. libzmq reports the end of a connection before it closes the descriptor, so one that has not
// ended afterwards was still open.
func (p *Plain) identify(peer *plainPeer) {
	if peer.fd < 0 {
		return
	}
	p.byFD[peer.fd] = peer
	conn := zmqsock.Identify(peer.fd)
	p.hear()
	if p.fds[peer.fd]&fdClosed != 0 {
		p.giveUp(peer, "disconnected", "its connection was closed before what it said was read")
	}
	if !peer.ending && !peer.reused {
		peer.conn = conn
	}
}

// lose makes an identity unreachable, and tells who watches it or waits for its answer.
func (p *Plain) lose(peer *plainPeer, why loss) {
	p.mu.Lock()
	if p.peers[peer.identity] != peer {
		p.mu.Unlock()
		return
	}
	delete(p.peers, peer.identity)
	watchers, waiting := peer.watchers, peer.replies.waiting()
	peer.watchers, peer.replies = nil, replies{}
	p.mu.Unlock()
	if p.byFD[peer.fd] == peer {
		delete(p.byFD, peer.fd)
	}
	p.system.ProcessRegistry.Remove(peer.pid)
	p.stats.Peers.Add(-1)
	p.loop.stats.Peers.Add(-1)
	p.loop.stats.Lost.Add(1)
	p.loop.cfg.Logger.Debug("peer left", "identity", peer.identity, "pid", peer.pid.Id, "detector", why.detector, "detail", why.detail)
	for _, w := range watchers {
		if proc, ok := p.system.ProcessRegistry.Get(w); ok {
			proc.SendSystemMessage(w, &actor.Terminated{Who: peer.pid, Why: why.reason})
		}
	}
	for _, w := range waiting {
		if proc, ok := p.system.ProcessRegistry.Get(w); ok {
			proc.SendUserMessage(w, &actor.DeadLetterResponse{Target: peer.pid})
		}
	}
	if p.cfg.Keeper != nil {
		p.system.Root.Send(p.cfg.Keeper, &PeerLeft{peer.pid, peer.identity, why.detector, why.detail})
	}
}

// hear takes in what happened to connections and returns how many were lost. Their peers are given up after what they said last was read.
func (p *Plain) hear() int {
	p.events = p.sock.Events(p.events[:0])
	n := 0
	for _, e := range p.events {
		switch e.Kind {
		case zmqsock.Connected:
			delete(p.fds, e.FD)
			if old := p.byFD[e.FD]; old != nil {
				old.reused = true
				delete(p.byFD, e.FD)
			}
		case zmqsock.Disconnected:
			n++
			p.fds[e.FD] |= fdClosed
			if peer := p.byFD[e.FD]; peer != nil {
				p.giveUp(peer, "disconnected", fmt.Sprintf("its connection (descriptor %d at %s) was closed", e.FD, e.Addr))
			}
		}
	}
	return n
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
		p.ending[i] = nil
	}
	p.ending, p.rounds = p.ending[:0], 0
}

// hangUp ends the connection of a peer. It runs on the loop.
func (p *Plain) hangUp(peer *plainPeer) {
	p.flush()
	p.hear()
	if p.peers[peer.identity] != peer {
		return
	}
	p.lose(peer, loss{actor.TerminatedReason_Stopped, "stopped", "its PID was stopped"})
	p.ignore(peer)
	p.cut(peer)
}

// probe sends the empty message to peers whose loss no monitor reports. Whoever was written to meanwhile needs none.
func (p *Plain) probe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, peer := range p.peers {
		if peer.fd < 0 && !peer.ending && !peer.sent {
			_ = p.write(peer, letter{}, nil, nil)
		}
		peer.sent = false
	}
}
