package actors

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// Outbox is where actors write messages to peers. A leased message is forwarded without copying it.
type Outbox interface {
	// Send sends a message made here. The error wraps wire.ErrNoPeer or wire.ErrPeerSlow; the message is then not sent.
	Send(to wire.Peer, h wire.Header, body ...[]byte) error
	// Forward sends the frames of a received message under another header.
	Forward(to wire.Peer, h wire.Header, m *wire.Message) error
}

// Directory maps handles of hits to PIDs.
type Directory interface {
	Reserve() uint64
	Bind(handle uint64, pid *actor.PID, box actor.Mailbox)
	Free(handle uint64)
	Lookup(handle uint64) *actor.PID
}

// Peers is what can be done with a connection.
type Peers interface {
	Attach(peer wire.Peer, pid *actor.PID)
	Window(peer wire.Peer, asked int64) int64
	HangUp(peer wire.Peer, detector, detail string)
	// Silent measures how long the peer's transport has been silent. Not known: nothing tells; coarse: nothing but these looks remembers it.
	Silent(peer wire.Peer) (silent time.Duration, known, coarse bool)
}

// Timer posts a message to an actor at a time of the loop's clock.
type Timer interface {
	Set(at time.Duration)
	Stop()
}

// Ports is what the actors of one broker are joined to. All of it belongs to the loop they live on.
type Ports struct {
	Outbox    Outbox
	Directory Directory
	Peers     Peers
	Now       func() time.Duration // the loop's clock, as of this turn
	Elapsed   func() time.Duration // the same, read afresh, on any goroutine; nil: Now
	NewTimer  func(pid *actor.PID, msg any) Timer
	Logger    *slog.Logger
	// Tree lists the broker's tree and calls done, from any goroutine, or returns false; nil: nobody does.
	Tree func(done func(wire.TreeNode, error)) bool
}
