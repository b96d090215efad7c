package wire

import "errors"

// What an outbox answers when it cannot take a message.
var (
	// ErrNoPeer says that the peer's connection is gone.
	ErrNoPeer = errors.New("no such peer: its connection is gone")
	// ErrPeerSlow says that a peer does not read: its window is used up and its queue is full.
	ErrPeerSlow = errors.New("the peer does not read: its window and its queue are full")
)
