package bridge

import (
	"errors"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Guard returns a guard for endpoints with Curve, which lives as long as the loop. Allow is called with public keys in Z85, on a goroutine of the guard's. It must be
// called before Serve, or on the loop.
func (l *Loop) Guard(allow func(public string) bool) (*zmqsock.Guard, error) {
	if l.closed {
		return nil, errors.New("bridge: the loop has ended: make a new one")
	}
	g, err := l.ctx.Guard(allow)
	if err != nil {
		return nil, err
	}
	l.guards = append(l.guards, g)
	return g, nil
}

// User returns the public key, in Z85, that a peer's connection has proved to have. Empty: the peer is gone, or its endpoint has no Curve.
func (l *Loop) User(ref wire.Peer) string {
	if p := l.peerByRef(ref); p != nil {
		return p.user
	}
	return ""
}

// Refusal is why the last handshake of a DEALER has failed.
type Refusal struct {
	Text string // empty: it has not
	Sure bool   // the broker said so; else the connection was just closed, and this is the likeliest reason
}

// Refusal says why the last handshake of a DEALER has failed. It is safe for use from any goroutine.
func (ep *Endpoint) Refusal() Refusal {
	if r := ep.refusal.Load(); r != nil {
		return *r
	}
	return Refusal{}
}

// noteRefusal takes a failure. Where one end encrypts and the other does not, whoever closes first decides what the other one sees.
func (ep *Endpoint) noteRefusal(why zmqsock.Failure) {
	r := Refusal{Sure: true}
	switch {
	case why == zmqsock.KeyRefused:
		r.Text = "the broker does not know this key, or it was revoked"
	case why == zmqsock.OtherMechanism && ep.cfg.Curve == nil:
		r.Text = "the broker lets only peers with a key in, and none was given"
	case why == zmqsock.OtherMechanism:
		r.Text = "a key was given, but the broker does not encrypt"
	case why != zmqsock.Unexplained || ep.Refusal().Sure:
		return
	case ep.cfg.Curve == nil:
		r = Refusal{Text: "the connection was closed during the handshake; perhaps the broker lets only peers with a key in"}
	default:
		r = Refusal{Text: "the connection was closed during the handshake; most likely the broker's key is another one than this peer was given, or the broker does not encrypt"}
	}
	ep.refusal.Store(&r)
}
