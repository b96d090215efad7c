package bridge

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// peer is what a loop knows of one connection of a ROUTER.
type peer struct {
	ref    wire.Peer
	ep     *Endpoint
	id     []byte     // routing id
	pid    *actor.PID // hears its messages that name no hit, and its loss
	fd     int        // descriptor of its connection, -1 if unknown
	heard  int64      // loop clock of its last message on the cold path
	window window
	wait   waiting
}

// A Peer is endpoint << 56 | generation << 24 | index.
func makePeer(ep int, gen uint64, index int) wire.Peer {
	return wire.Peer(uint64(ep)<<56 | (gen&(1<<32-1))<<indexBits | uint64(index))
}

// peerByRef returns the peer, nil if it is gone.
func (l *Loop) peerByRef(ref wire.Peer) *peer {
	n := int(ref >> 56)
	if n == 0 || n > len(l.eps) {
		return nil
	}
	ep := l.eps[n-1]
	i := int(ref & (maxHits - 1))
	if i >= len(ep.peers) || ep.peers[i] == nil || ep.peers[i].ref != ref {
		return nil
	}
	return ep.peers[i]
}

// admit makes a peer of a routing id.
func (ep *Endpoint) admit(id []byte, fd int) *peer {
	ep.gen++
	i := len(ep.peers)
	if n := len(ep.freePeers); n > 0 {
		i, ep.freePeers = ep.freePeers[n-1], ep.freePeers[:n-1]
	} else {
		ep.peers = append(ep.peers, nil)
	}
	p := &peer{ref: makePeer(ep.number, ep.gen, i), ep: ep, id: append([]byte(nil), id...), pid: ep.keeper, fd: -1, heard: ep.loop.now}
	p.window.open(ep.loop.cfg.Window)
	ep.peers[i] = p
	ep.byID[string(p.id)] = p
	ep.claim(p, fd)
	ep.loop.stats.Peers.Add(1)
	return p
}

// claim notes which connection a peer speaks on. Two living connections cannot share a descriptor, so an older claim is void.
func (ep *Endpoint) claim(p *peer, fd int) {
	if fd < 0 {
		return
	}
	if old := ep.byFD[fd]; old != nil && old != p {
		ep.loop.lose(old, "disconnected", fmt.Sprintf("descriptor %d of its connection belongs to another peer now", fd))
	}
	p.fd = fd
	ep.byFD[fd] = p
}

// forget removes a peer from all tables; what waited for it is dropped.
func (ep *Endpoint) forget(p *peer) {
	i := int(p.ref & (maxHits - 1))
	if ep.peers[i] != p {
		return
	}
	ep.peers[i] = nil
	ep.freePeers = append(ep.freePeers, i)
	delete(ep.byID, string(p.id))
	if p.fd >= 0 && ep.byFD[p.fd] == p {
		delete(ep.byFD, p.fd)
	}
	if ep.last == p {
		ep.last = nil
	}
	p.wait.drop()
	ep.loop.stats.Peers.Add(-1)
}

// lose forgets a peer and tells its PID.
func (l *Loop) lose(p *peer, detector, detail string) {
	if p.ep.peers[int(p.ref&(maxHits-1))] != p {
		return
	}
	p.ep.forget(p)
	l.stats.Lost.Add(1)
	if p.pid != nil {
		l.cfg.System.Root.Send(p.pid, &wire.PeerGone{Peer: p.ref, Detector: detector, Detail: detail, Silent: l.since(p.heard)})
	}
}

// Attach makes a peer's messages that name no hit, and its loss, go to pid. A peer that is gone already is reported lost at once.
func (l *Loop) Attach(ref wire.Peer, pid *actor.PID) {
	if p := l.peerByRef(ref); p != nil {
		p.pid = pid
		return
	}
	l.cfg.System.Root.Send(pid, &wire.PeerGone{Peer: ref, Detector: "closed", Detail: "its connection was lost before it was attached"})
}

// Window grants a fresh peer the window it asked for, within the loop's own, and returns it in bytes. Zero asks for the loop's.
func (l *Loop) Window(ref wire.Peer, asked int64) int64 {
	p := l.peerByRef(ref)
	if p == nil {
		return l.cfg.Window
	}
	p.window.shrink(asked)
	return p.window.size
}

// HangUp ends a peer's connection; its PID hears PeerGone with the detector.
func (l *Loop) HangUp(ref wire.Peer, detector, detail string) {
	p := l.peerByRef(ref)
	if p == nil {
		return
	}
	fd := p.fd
	l.lose(p, detector, detail)
	if fd >= 0 {
		_ = zmqsock.Hangup(fd)
	}
}
