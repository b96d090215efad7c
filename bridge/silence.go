package bridge

import (
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// silent is the memory of the looks at a connection whose kernel has none.
type silent struct {
	looked  bool
	sign    int64 // loop clock of the last look that found a sign
	untaken int
	heard   int64
	limit   uint64
}

// Silent measures how long a peer's transport has been silent: whatever its ZeroMQ thread has sent counts, heartbeats and their answers, too, which need
// none of the peer's own code. It costs two system calls and sends nothing. Not known: nothing tells of it (inproc, a connection that is gone). Coarse:
// nothing but these looks remembers it, so that it must be looked at often; the silence begins with the last look that found a sign.
func (l *Loop) Silent(ref wire.Peer) (silent time.Duration, known, coarse bool) {
	p := l.peerByRef(ref)
	if p == nil {
		return 0, false, false
	}
	conn := p.conn
	if p.ep.sender != nil {
		if !p.ep.line.met {
			return 0, false, false // libzmq itself tries again until there is somebody who shakes hands
		}
		conn = p.ep.line.conn
	}
	s, known := conn.Silence()
	if !known || s.Remembers {
		return s.For, known, false
	}
	quiet := l.since(p.silent.look(l.now, p, s))
	if quiet > 0 { // what it took last was sent up to a heartbeat before the look that found it taken
		quiet += min(l.cfg.Heartbeat, l.cfg.Silence/3)
	}
	return quiet, true, true
}

// look compares with the look before: a peer that takes out what is sent to it is alive, and so is one that acknowledges or says something.
func (s *silent) look(now int64, p *peer, found zmqsock.Silence) int64 {
	if !s.looked || found.Untaken == 0 || found.Untaken < s.untaken || p.heard > s.heard || p.window.limit != s.limit {
		s.sign = now
	}
	s.looked, s.untaken, s.heard, s.limit = true, found.Untaken, p.heard, p.window.limit
	return s.sign
}
