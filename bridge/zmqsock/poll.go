//go:build cgo

package zmqsock

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"time"
	"unsafe"

	zmq "github.com/pebbe/zmq4"
)

// Poller waits for messages on a set of sockets, or for a wake-up. It belongs to the sockets' goroutine.
type Poller struct {
	socks []*Socket // keeps what h points to
	h     []unsafe.Pointer
	ready []C.uint8_t
	wake  *Wake
	slow  *zmq.Poller // in place of h where the binding's layout is unknown
}

// NewPoller returns a poller that also returns when wake is woken.
func NewPoller(wake *Wake) *Poller { return &Poller{wake: wake, ready: make([]C.uint8_t, 1)} }

// MaxPolled is how many sockets one poller can wait for; a monitor counts as a socket.
const MaxPolled = C.TR_MAX_POLL

// Set replaces the sockets to wait for, monitors included where a socket has one. They must be open.
func (p *Poller) Set(socks []*Socket) {
	if layout != nil {
		p.setSlow(socks)
		return
	}
	clear(p.socks)
	p.socks, p.h = p.socks[:0], p.h[:0]
	for _, s := range socks {
		p.socks = append(p.socks, s)
		p.h = append(p.h, handle(s.s))
		if s.mon != nil {
			p.h = append(p.h, handle(s.mon))
		}
	}
	p.ready = make([]C.uint8_t, len(p.h)+1)
}

// Wait blocks until a socket may have messages, the wake-up was used, or d is over (negative: for ever). It may return early;
// callers keep their own deadlines and look at all sockets.
func (p *Poller) Wait(d time.Duration) error {
	if p.slow != nil {
		return p.waitSlow(d)
	}
	ms := C.long(-1)
	if d >= 0 {
		ms = C.long((d + time.Millisecond - 1) / time.Millisecond)
	}
	var first *unsafe.Pointer
	if len(p.h) > 0 {
		first = &p.h[0]
	}
	if n, err := C.tr_poll(first, C.int(len(p.h)), C.int(p.wake.fd), ms, &p.ready[0]); n < 0 {
		return fmt.Errorf("zmqsock: poll: %w", err)
	}
	if p.ready[len(p.h)] != 0 {
		p.wake.drain()
	}
	return nil
}

func (p *Poller) setSlow(socks []*Socket) {
	p.slow = zmq.NewPoller()
	for _, s := range socks {
		p.slow.Add(s.s, zmq.POLLIN)
		if s.mon != nil {
			p.slow.Add(s.mon, zmq.POLLIN)
		}
	}
}

// waitSlow polls through the binding, which knows no descriptors: the wake-up is looked at every millisecond.
func (p *Poller) waitSlow(d time.Duration) error {
	if d < 0 || d > time.Millisecond {
		d = time.Millisecond
	}
	p.wake.drain()
	if _, err := p.slow.Poll(d); err != nil && zmq.AsErrno(err) != zmq.Errno(4) {
		return fmt.Errorf("zmqsock: poll: %w", err)
	}
	return nil
}
