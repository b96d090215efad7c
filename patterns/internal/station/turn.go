package station

import (
	"runtime"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// noticeEvery is how often a busy station asks its monitors.
const noticeEvery = time.Millisecond

// turn does what is to be done now.
func (s *Station) turn() (did int, wait time.Duration, err error) {
	did = s.runPosted()
	now := s.Now()
	s.at = now
	if now-s.heard > noticeEvery {
		did += s.notice(now)
	}
	ports := s.ports
	s.turns++
	for i := range ports {
		p := ports[(i+s.turns)%len(ports)] // each is the first one in its turn: a full batch has no room for the others
		if p.spec.Hear == nil && p.spec.Relay == nil || p.off {
			continue
		}
		n, err := s.receive(p)
		if err != nil {
			return did, 0, err
		}
		did += n
	}
	sent, wait := s.cfg.Turn(now)
	s.in.Clear(s.cfg.Poison)
	return did + sent, wait, nil
}

// receive hands over what waits at one port, as far as the batch has room.
func (s *Station) receive(p *Port) (int, error) {
	if p.spec.Relay != nil {
		return p.spec.Relay(s.in)
	}
	first := s.in.Len()
	var types uint64
	if p.spec.FDs {
		types = zmqsock.AllTypes
	}
	n, err := s.in.Recv(p.Sock, s.cfg.Batch, types)
	if err != nil {
		return 0, err
	}
	for i := range n {
		p.spec.Hear(s.in, first+i)
	}
	return n, nil
}

func (s *Station) notice(now time.Duration) int {
	s.heard = now
	n := 0
	for _, p := range s.ports {
		if p.spec.Notice == nil {
			continue
		}
		s.events = p.Sock.Events(s.events[:0])
		for _, e := range s.events {
			p.spec.Notice(e)
		}
		n += len(s.events)
	}
	return n
}

func (s *Station) runPosted() int {
	if !s.posting.Swap(false) {
		return 0
	}
	s.mu.Lock()
	fns := s.posted
	s.posted = nil
	s.mu.Unlock()
	for _, fn := range fns {
		fn()
	}
	return len(fns)
}

// sleep yields a little, then waits for messages, events, Rouse, or the end of the time.
func (s *Station) sleep(wait time.Duration) error {
	for range s.cfg.Spin {
		runtime.Gosched()
		if s.posting.Load() || s.cfg.Pending != nil && s.cfg.Pending() {
			return nil
		}
	}
	s.asleep.Store(true)
	defer s.asleep.Store(false)
	select {
	case <-s.stop:
		return nil
	default:
	}
	if s.posting.Load() || s.cfg.Pending != nil && s.cfg.Pending() {
		return nil
	}
	if err := s.poll.Wait(wait); err != nil {
		return err
	}
	if s.poll.Events() {
		s.notice(s.Now())
	}
	return nil
}

// settling is how many turns a station has at most to send what is left.
const settling = 100

// last sends what was written, and runs what Do has promised to run.
func (s *Station) last() error {
	for range settling {
		sent, _ := s.cfg.Turn(s.Now())
		if s.runPosted()+sent == 0 {
			break
		}
	}
	return nil
}

// giveBack ends everything. It runs once, on the goroutine, or before there was one.
func (s *Station) giveBack() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.posting.Store(true)
	s.runPosted()
	if s.cfg.End != nil {
		s.cfg.End()
	}
	for _, p := range s.ports {
		_ = p.Sock.Close()
	}
	s.ports = nil
	if s.in != nil {
		s.in.Free()
	}
	s.door.close()
	if s.wake != nil {
		_ = s.wake.Close()
	}
	s.release()
}
