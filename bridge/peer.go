package bridge

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// peer is what a loop knows of one connection of a ROUTER.
type peer struct {
	ref     wire.Peer
	ep      *Endpoint
	id      []byte       // routing id
	user    string       // the public key it has proved to have; empty at endpoints without Curve
	pid     *actor.PID   // hears its messages that name no hit, and its loss
	conn    zmqsock.Conn // its connection, zero if unknown: it is probed then
	heard   int64        // loop clock of its last message on the cold path
	granted bool         // its window is settled
	end     *departure   // its connection is lost, its last words perhaps not read yet
	window  window
	wait    waiting
	silent  silent
	guest   *Guest // at a direct ROUTER, once it may be written to
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
	p := &peer{ref: makePeer(ep.number, ep.gen, i), ep: ep, id: append([]byte(nil), id...), pid: ep.keeper, heard: ep.loop.now}
	p.window.open(ep.loop.cfg.Window)
	ep.peers[i] = p
	ep.byID[string(p.id)] = p
	ep.claim(p, fd)
	ep.loop.stats.Peers.Add(1)
	return p
}

// claim notes which connection a peer speaks on, by the descriptor its first message came from.
func (ep *Endpoint) claim(p *peer, fd int) {
	conn := zmqsock.Identify(fd)
	if !conn.Known() || !ep.open[fd] {
		return // its end may have been heard already
	}
	old := ep.byFD[fd]
	if old != nil && old.conn == conn {
		// One of the two has left the descriptor to the other before its first message was read, and nothing tells which. Both are probed from now on.
		old.conn = zmqsock.Conn{}
		delete(ep.byFD, fd)
		return
	}
	if old != nil {
		ep.leave(old, fmt.Sprintf("descriptor %d of its connection belongs to another peer now", fd))
	}
	p.conn = conn
	ep.byFD[fd] = p
}

// forget removes a peer from all tables; what waited for it is dropped.
func (ep *Endpoint) forget(p *peer) {
	i := int(p.ref & (maxHits - 1))
	if ep.peers[i] != p {
		return
	}
	if p.guest != nil {
		ep.posts.dismiss(p.guest)
	}
	ep.peers[i] = nil
	ep.freePeers = append(ep.freePeers, i)
	delete(ep.byID, string(p.id))
	ep.unclaim(p)
	if ep.last == p {
		ep.last = nil
	}
	ep.loop.stats.Waiting.Add(-int64(p.wait.count))
	p.wait.drop()
	ep.loop.stats.Peers.Add(-1)
}

// unclaim forgets a peer's connection.
func (ep *Endpoint) unclaim(p *peer) {
	if p.conn.Known() && ep.byFD[p.conn.FD] == p {
		delete(ep.byFD, p.conn.FD)
	}
	p.conn = zmqsock.Conn{}
}

// lose forgets a peer and tells its PID.
func (l *Loop) lose(p *peer, detector, detail string) {
	if p.ep.peers[int(p.ref&(maxHits-1))] != p {
		return
	}
	p.ep.forget(p)
	l.tellLoss(p, detector, detail)
}

func (l *Loop) tellLoss(p *peer, detector, detail string) {
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

// Window grants a fresh peer the window it asked for, within the loop's own, and returns it in bytes. Zero asks for the loop's. Bytes are counted from
// here on: WELCOME, which names the window, is the next message. Asked again, the window stays as it is.
func (l *Loop) Window(ref wire.Peer, asked int64) int64 {
	p := l.peerByRef(ref)
	if p == nil {
		return l.cfg.Window
	}
	if !p.granted {
		p.granted = true
		p.window.open(l.cfg.Window)
		p.window.shrink(asked)
	}
	return p.window.size
}

// HangUp ends a peer's connection; its PID hears PeerGone with the detector. Where no connection is known (inproc), the peer is told at its next
// message that it is not registered any more.
func (l *Loop) HangUp(ref wire.Peer, detector, detail string) {
	if p := l.peerByRef(ref); p != nil {
		l.hangUp(p, detector, detail)
	}
}

func (l *Loop) hangUp(p *peer, detector, detail string) {
	conn := p.conn
	l.lose(p, detector, detail)
	if !conn.Known() {
		return
	}
	if err := conn.Hangup(); err != nil && !errors.Is(err, zmqsock.ErrOtherConn) {
		l.cfg.Logger.Warn("cannot hang up", "peer", uint64(p.ref), "error", err)
	}
}
