//go:build cgo

package zmqsock

/*
#include "shim.h"
*/
import "C"

import "fmt"

// Relayed is what Relay has done.
type Relayed struct {
	Taken, Sent, Dropped, Bad int // messages; Taken are all but the bad ones
	Bytes                     uint64
	// Held: the last one that was taken is the batch's last message, since nobody takes it now.
	Held bool
}

// Relay passes up to max messages on from one socket to another, frame by frame as they are, without a copy and without waiting. Messages of fewer frames than least, or of
// more than 64, are thrown away and counted as bad. One that nobody takes is dropped or, with waits, added to the batch, and ends the call. Both sockets must be Batched. An
// error is ErrClosed.
func (in *In) Relay(from, to *Socket, max, least int, waits bool) (Relayed, error) {
	var r C.tr_relayed
	w := C.int(0)
	if waits {
		w = 1
	}
	rc, err := C.tr_relay(in.b, from.h, to.h, C.uint32_t(max), C.uint32_t(least), w, Comfort, &r)
	done := Relayed{Taken: int(r.taken), Sent: int(r.sent), Dropped: int(r.dropped), Bad: int(r.bad), Bytes: uint64(r.size), Held: r.held != 0}
	if rc < 0 {
		return done, fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return done, nil
}
