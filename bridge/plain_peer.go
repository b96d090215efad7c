package bridge

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// plainPeer is one incarnation of an identity: from its first message to the loss of its connection.
type plainPeer struct {
	identity string
	id       []byte // the same, as libzmq wants it
	pid      *actor.PID

	// The loop's alone.
	fd     int          // descriptor of its connection, -1 where libzmq tells none (inproc)
	conn   zmqsock.Conn // the connection itself, unknown while unsure
	unsure bool         // the descriptor may have been another's already when its first message was read: it is probed
	seized bool         // it has taken the identity from a living connection
	ending bool         // its connection is lost, its last words perhaps not read yet
	reused bool         // ending, and its descriptor is another connection's by now
	heir   bool         // reused, and something was heard that may be of its next incarnation
	why    loss

	// Under the endpoint's mutex.
	watchers map[pidKey]*actor.PID
	replies  replies
	queued   int  // messages in out
	sent     bool // since the last probe
}

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
	state := p.fds[fd]
	if state&fdIgnored != 0 {
		p.stats.Ignored.Add(1)
		return nil
	}
	doubt := state&fdDoubt != 0
	owner, old := p.byFD[fd], p.peers[string(id)]
	switch {
	case old != nil && old.fd == fd && (old == owner || old.unsure || fd < 0):
		if old.unsure && !doubt {
			p.claim(old)
		}
		return old
	case old != nil && old.fd == fd && old.reused:
		old.heir = true
		return old
	case owner != nil && owner.ending && id[0] == 0:
		// Last words come under an id of libzmq's own where a newer connection has taken the identity meanwhile.
		return owner
	}
	seized := old != nil && p.supersede(old)
	peer := p.admit(id, fd, doubt)
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

// admit makes an identity reachable.
func (p *Plain) admit(id []byte, fd int, unsure bool) *plainPeer {
	identity := string(id)
	peer := &plainPeer{identity: identity, id: []byte(identity), pid: p.PID(identity), fd: fd, unsure: unsure}
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
	switch {
	case fd < 0:
	case !unsure:
		p.claim(peer)
	case p.byFD[fd] == nil:
		p.byFD[fd] = peer
	}
	return peer
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
		if (peer.fd < 0 || peer.unsure) && !peer.ending && !peer.sent {
			_ = p.write(peer, letter{}, nil, nil)
		}
		peer.sent = false
	}
}
