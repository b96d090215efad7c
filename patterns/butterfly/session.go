package butterfly

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// sessions are the open hits of a stage, by key.
type sessions struct {
	service string
	idle    time.Duration
	most    int

	mu     sync.Mutex
	byKey  map[string]*session
	order  *list.List // of *session, the one idle longest first
	timer  *time.Timer
	closed bool
}

// session is one of them.
type session struct {
	key  string
	hit  *assigner.Hit
	turn chan struct{} // holds one token: calls run one after another, and so do opens
	used time.Time
	busy int
	at   *list.Element
}

func newSessions(service string, a Affinity) *sessions {
	def(&a.Idle, 5*time.Minute)
	def(&a.Most, 1024)
	return &sessions{service: service, idle: a.Idle, most: a.Most, byKey: make(map[string]*session), order: list.New()}
}

// call makes a call of the session with this key, which is opened if need be. A session that was lost before the call began is opened again, once.
func (s *sessions) call(ctx context.Context, c *assigner.Client, key string, r assigner.Request) ([][]byte, error) {
	x, err := s.take(key)
	if err != nil {
		return nil, err
	}
	defer s.give(x)
	select {
	case <-x.turn:
		defer func() { x.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, &Problem{Status: http.StatusGatewayTimeout, Detail: "the session is busy with another request of the same client"}
	}
	for tries := 0; ; tries++ {
		fresh := x.hit == nil
		if fresh {
			if x.hit, err = c.OpenWith(ctx, assigner.OpenRequest{Service: s.service, Label: "session"}); err != nil {
				x.hit = nil
				return nil, err
			}
		}
		frames, err := x.hit.CallWith(ctx, r)
		if err == nil || !isOver(err) {
			return frames, err
		}
		closeLater(x.hit)
		x.hit = nil
		var e *assigner.Error
		if fresh || tries > 0 || !errors.As(err, &e) || e.Outcome != assigner.NeverStarted {
			return nil, err
		}
	}
}

// take finds a session, or makes one.
func (s *sessions) take(key string) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, &Problem{Status: http.StatusServiceUnavailable, Retry: 1, Detail: "the server is about to stop"}
	}
	x := s.byKey[key]
	if x == nil {
		if len(s.byKey) >= s.most && !s.evict(func(*session) bool { return true }) {
			return nil, &Problem{Status: http.StatusServiceUnavailable, Retry: 1, Detail: fmt.Sprintf("all %d sessions are busy", s.most)}
		}
		x = &session{key: key, turn: make(chan struct{}, 1)}
		x.turn <- struct{}{}
		s.byKey[key] = x
		x.at = s.order.PushBack(x)
	}
	x.busy++
	x.used = time.Now()
	s.order.MoveToBack(x.at)
	return x, nil
}

// give ends the use of a session.
func (s *sessions) give(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.busy--
	x.used = time.Now()
	if s.timer == nil && !s.closed {
		s.timer = time.AfterFunc(s.idle, s.sweep)
	}
}

// evict closes the session idle longest that is not busy, if it is old enough. It reports whether there was one. The lock is held.
func (s *sessions) evict(old func(*session) bool) bool {
	for e := s.order.Front(); e != nil; e = e.Next() {
		x, ok := e.Value.(*session)
		if !ok || x.busy > 0 {
			continue
		}
		if !old(x) {
			return false
		}
		s.order.Remove(e)
		delete(s.byKey, x.key)
		if x.hit != nil {
			closeLater(x.hit)
		}
		return true
	}
	return false
}

// sweep closes those that were idle for long.
func (s *sessions) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.evict(func(x *session) bool { return time.Since(x.used) >= s.idle }) {
	}
	s.timer = nil
	if len(s.byKey) > 0 && !s.closed {
		s.timer = time.AfterFunc(s.idle/2+time.Millisecond, s.sweep)
	}
}

// close closes all of them.
func (s *sessions) close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	var hits []*assigner.Hit
	for _, x := range s.byKey {
		if x.busy == 0 && x.hit != nil {
			hits = append(hits, x.hit)
		}
	}
	s.mu.Unlock()
	var errs []error
	for _, h := range hits {
		errs = append(errs, h.Close(ctx))
	}
	return errors.Join(errs...)
}
