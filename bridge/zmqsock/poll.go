//go:build cgo

package zmqsock

import (
	"errors"
	"fmt"
	"math"
	"syscall"
	"time"

	zmq "github.com/pebbe/zmq4"
	"golang.org/x/sys/unix"
)

// Poller waits for messages on a set of sockets, or for a wake-up. It belongs to the sockets' goroutine.
//
// It asks the kernel about the sockets' descriptors (ZMQ_FD) itself: zmq_poll asks twice per wait, and once more for every socket and monitor, which
// was most of a lightly loaded broker's system calls.
type Poller struct {
	socks []*Socket // their descriptors are the first of fds
	fds   []unix.PollFd
	wake  *Wake
	share bool
	nest  *nest // with share
}

// NewPoller returns a poller that also returns when wake is woken.
func NewPoller(wake *Wake) *Poller {
	p := &Poller{wake: wake}
	p.seal()
	return p
}

// NewSharedPoller returns one that waits in Go's own poller, for a goroutine that is not locked to its thread and has little to do: where many processes share few processors, each
// such wait costs them half. With much to do NewPoller is faster. It must be closed. The first wait comes after Set.
func NewSharedPoller(wake *Wake) *Poller {
	p := NewPoller(wake)
	p.share = true
	return p
}

// Close gives back what a shared poller has of the kernel; to another one it does nothing.
func (p *Poller) Close() error {
	if p.nest == nil {
		return nil
	}
	n := p.nest
	p.nest = nil
	return n.close()
}

// Set replaces the sockets to wait for, monitors included where a socket has one. They must be open.
func (p *Poller) Set(socks []*Socket) error {
	p.socks, p.fds = append(p.socks[:0], socks...), p.fds[:0]
	for _, s := range socks {
		if err := p.add(s.s); err != nil {
			return err
		}
	}
	for _, s := range socks {
		if s.mon == nil {
			continue
		}
		if err := p.add(s.mon); err != nil {
			return err
		}
	}
	p.seal()
	return p.settle()
}

// settle makes a shared poller's epoll instance anew.
func (p *Poller) settle() (err error) {
	if !p.share {
		return nil
	}
	if err := p.Close(); err != nil {
		return err
	}
	p.nest, err = newNest(p.fds)
	return err
}

func (p *Poller) add(s *zmq.Socket) error {
	fd, err := s.GetFd()
	if err != nil {
		return fmt.Errorf("zmqsock: a socket without a descriptor: %w", err)
	}
	p.fds = append(p.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	return nil
}

// seal adds the wake-up as the last descriptor.
func (p *Poller) seal() {
	p.fds = append(p.fds, unix.PollFd{Fd: int32(p.wake.fd), Events: unix.POLLIN})
}

// Wait blocks until a socket may have messages, the wake-up was used, or d is over (negative: for ever). It may return early;
// callers keep their own deadlines and look at all sockets.
func (p *Poller) Wait(d time.Duration) error {
	for _, s := range p.socks {
		// The descriptors signal edges: what was signalled before is in the events only.
		if ev, err := s.s.GetEvents(); err != nil || ev&zmq.POLLIN != 0 {
			return err
		}
	}
	return p.Park(d)
}

// Park is Wait for a caller whose last act on every socket was a Recv that found no more.
func (p *Poller) Park(d time.Duration) error {
	for i := range p.fds {
		p.fds[i].Revents = 0
	}
	if err := p.sleep(d); err != nil {
		return err
	}
	if p.fds[len(p.fds)-1].Revents != 0 {
		p.wake.drain()
	}
	return nil
}

func (p *Poller) sleep(d time.Duration) error {
	if p.nest != nil {
		return p.nest.wait(p.fds, d)
	}
	ms := -1
	if d >= 0 {
		ms = int(min((d+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
	}
	if _, err := unix.Poll(p.fds, ms); err != nil && !errors.Is(err, syscall.EINTR) {
		return fmt.Errorf("zmqsock: poll: %w", err)
	}
	return nil
}

// Events reports whether a monitor had something to say at the end of the last wait.
func (p *Poller) Events() bool {
	for _, f := range p.fds[len(p.socks) : len(p.fds)-1] {
		if f.Revents != 0 {
			return true
		}
	}
	return false
}
