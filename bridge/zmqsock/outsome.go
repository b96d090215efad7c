//go:build cgo

package zmqsock

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"syscall"
)

// SendSome goes on sending, in order, where it stopped before, and stops before the first message that is refused. It returns how many of the batch are
// gone by now, and why the next one was refused: nil when none is left, syscall.EAGAIN where nobody takes it now (the pipes are full, or nobody is
// connected), and it is to be tried again when the poller has returned. It is for kinds that wait for room (Push, Pair, Dealer). The batch is to be
// Reset when all are gone.
func (o *Out) SendSome() (int, error) {
	for o.sent < o.n {
		var err error
		if o.socks[o.sent].Batched() {
			err = o.someBatched()
		} else if e := sendParts(o.socks[o.sent].s, o.parts(o.sent)); e != 0 {
			err = syscall.Errno(e)
		} else {
			o.sent++
		}
		if err != nil {
			return o.sent, err
		}
	}
	return o.sent, nil
}

func (o *Out) someBatched() error {
	var frames *C.tr_frame
	if len(o.frames) > 0 {
		frames = &o.frames[0]
	}
	o.sent += int(C.tr_send_some(&o.outs[o.sent], C.uint32_t(o.n-o.sent), frames))
	if o.sent == o.n {
		return nil
	}
	return syscall.Errno(o.outs[o.sent].err)
}

// Skip gives up the message that SendSome has stopped at.
func (o *Out) Skip() { o.sent = min(o.sent+1, o.n) }

// Left returns how many messages SendSome has not sent yet.
func (o *Out) Left() int { return o.n - o.sent }

// Subscribe asks a Sub's publishers for messages that begin with a prefix; of an XSub it is a message like any other (Subscription).
func (s *Socket) Subscribe(prefix string) error {
	if s.kind != Sub {
		return errors.New("zmqsock: only a Sub subscribes by an option: send Subscription to an XSub")
	}
	return cause(s.s.SetSubscribe(prefix))
}

// Subscription returns the one frame by which an XSub subscribes to a prefix, or gives it up, and which an XPub receives.
func Subscription(prefix string, on bool) []byte {
	b := make([]byte, 1+len(prefix))
	if on {
		b[0] = 1
	}
	copy(b[1:], prefix)
	return b
}
