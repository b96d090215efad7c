package bridge

import (
	"fmt"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// line is the life of a DEALER's connection to its broker. A lost one is replaced by a fresh socket: nothing said on the old one can reach a
// new broker. What cannot even shake hands is left to libzmq, which tries again with growing pauses.
type line struct {
	since time.Duration // when its socket was made
	pause time.Duration // it waited before it connected
	due   time.Duration // when it is to connect, or to get a socket; 0: it has done so
	met   bool          // the handshake was done
	end   *departure
	conn  zmqsock.Conn // the present connection, zero while there is none
}

// A connection that lives shorter than this was in vain: the next one waits, twice as long each time, from minPause to maxPause.
const (
	brief    = time.Second
	minPause = 20 * time.Millisecond
	maxPause = time.Second
)

// hearBroker takes in what happened to the connection.
func (ep *Endpoint) hearBroker(e zmqsock.Event) {
	switch {
	case e.Kind == zmqsock.Connected:
		ep.line.conn = zmqsock.Identify(e.FD)
	case e.Kind == zmqsock.Established:
		ep.line.met = true
		ep.refusal.Store(nil)
	case e.Kind == zmqsock.Refused:
		ep.noteRefusal(e.Failure)
	case e.Kind == zmqsock.Disconnected && ep.line.met:
		ep.loseBroker("disconnected", fmt.Sprintf("the connection to %s was lost", e.Addr))
	case e.Kind == zmqsock.Retrying && ep.line.end != nil:
		ep.line.end.confirm(ep.round)
	}
}

// loseBroker makes all sends fail, until what the broker said last has been read and the connection replaced.
func (ep *Endpoint) loseBroker(detector, detail string) {
	if ep.line.end != nil {
		return
	}
	ep.sender.detach()
	ep.line.end = &departure{since: time.Duration(ep.loop.now), detector: detector, detail: detail}
}

// Reopen replaces the connection of a DEALER by a fresh one; its keeper hears PeerGone with the detector. It belongs to the loop's goroutine.
func (ep *Endpoint) Reopen(detector, detail string) {
	if ep.sender == nil || ep.loop.closed {
		return
	}
	if ep.cfg.Once {
		ep.expire(detector, detail)
		return
	}
	ep.sender.detach()
	if ep.sock != nil {
		_ = ep.sock.Close()
		ep.sock = nil
	}
	ep.line.end = &departure{detector: detector, detail: detail}
	ep.loop.stats.Reopened.Add(1)
	pause := time.Duration(0)
	if time.Duration(ep.loop.now)-ep.line.since < brief {
		pause = min(max(2*ep.line.pause, minPause), maxPause)
	}
	ep.renew(pause)
}

// Redirect connects a DEALER to another endpoint from now on, encrypted as curve says, and replaces its connection as Reopen does. It belongs to the
// loop's goroutine.
func (ep *Endpoint) Redirect(to string, curve *zmqsock.Curve, detail string) {
	if ep.sender == nil || ep.loop.closed || ep.cfg.Once {
		return
	}
	ep.cfg.Connect, ep.cfg.Curve, ep.line.pause = to, curve, 0
	ep.line.since = 0
	ep.Reopen("moved", detail)
}

// renew makes the fresh socket. The keeper hears of the loss when there is one to greet on.
func (ep *Endpoint) renew(pause time.Duration) {
	l, old, end := ep.loop, ep.peers[0], ep.line.end
	if err := ep.start(pause); err != nil {
		l.cfg.Logger.Error("cannot connect again", "endpoint", ep.cfg.Connect, "error", err)
		ep.line.end, ep.line.due = end, time.Duration(l.now)+maxPause
		l.repoll()
		return
	}
	ep.forget(old)
	ep.greet()
	l.tellLoss(old, end.detector, end.detail)
	l.repoll()
}

// dial does what is due.
func (ep *Endpoint) dial() {
	if ep.line.due == 0 || time.Duration(ep.loop.now) < ep.line.due {
		return
	}
	ep.line.due = 0
	if ep.sock == nil {
		ep.renew(0)
		return
	}
	if err := ep.sock.Connect(ep.cfg.Connect); err != nil {
		ep.loop.cfg.Logger.Error("cannot connect again", "endpoint", ep.cfg.Connect, "error", err)
		ep.line.due = time.Duration(ep.loop.now) + maxPause
	}
}

// inproc reports whether no monitor can tell of the connection's end.
func (ep *Endpoint) inproc() bool { return strings.HasPrefix(ep.cfg.Connect, "inproc://") }
