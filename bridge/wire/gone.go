package wire

import "time"

// PeerGone tells a peer's PID that its connection is lost. Nothing more comes from this peer.
type PeerGone struct {
	Peer     Peer
	Detector string        // disconnected, unreachable, window, replaced or closed
	Detail   string        // in words, with the measured values
	Silent   time.Duration // since its last message that was no call
}
