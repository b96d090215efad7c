package resume_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
	"github.com/troupe-mq/troupe/test/e2e/internal/tls"
)

// stage is a broker and a worker of one slot, in the test's process.
type stage struct {
	*rig.Site
	t      *testing.T
	ctx    context.Context
	broker *assigner.Broker
	worker *assigner.Worker
	free   chan struct{} // lets a call go that waits
	begun  chan string
	closed chan int // threads of sessions that are closed
}

func newStage(t *testing.T, change ...func(*assigner.BrokerConfig)) *stage {
	t.Helper()
	s := &stage{
		Site: rig.NewSite(t, rig.TCP), t: t, ctx: rig.Context(t), free: make(chan struct{}, 16), begun: make(chan string, 16), closed: make(chan int, 16),
	}
	s.broker = s.Broker(change...)
	s.worker = s.Worker(rig.Services{"count": {Open: func(context.Context, *assigner.Opening) (assigner.Session, error) { return &session{stage: s}, nil }}}, rig.Slots(1))
	rig.Receive(t, s.worker.Welcomed(), "the worker's welcome")
	return s
}

// session counts its calls. One whose body begins with "hold" waits until it is let go.
type session struct {
	stage *stage
	n     int
}

// Call is assigner.Session's: it answers with the count and the thread; a body "large" gets so much more.
func (s *session) Call(ctx context.Context, c *assigner.Call) ([]byte, error) {
	s.n++
	body := string(c.Body())
	s.stage.begun <- body
	if strings.HasPrefix(body, "hold") {
		select {
		case <-s.stage.free:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	reply := fmt.Sprintf("%d %d", s.n, tls.Thread())
	if strings.HasSuffix(body, "large") {
		reply += strings.Repeat("x", 4000)
	}
	return []byte(reply), nil
}

// Close is assigner.Session's.
func (s *session) Close() error {
	s.stage.closed <- tls.Thread()
	return nil
}

// began waits until a call runs.
func (s *stage) began(body string) {
	s.t.Helper()
	require.Equal(s.t, body, rig.Receive(s.t, s.begun, "call "+body))
}

func (s *stage) rows() []machine.HitRow {
	s.t.Helper()
	answer, err := s.broker.Administer(s.ctx, machine.AdminRequest{Cmd: "hit.list"})
	require.NoError(s.t, err)
	return answer.(map[string]any)["hits"].([]machine.HitRow)
}

func (s *stage) totals() machine.Totals {
	s.t.Helper()
	answer, err := s.broker.Administer(s.ctx, machine.AdminRequest{Cmd: "status"})
	require.NoError(s.t, err)
	return answer.(machine.StatusReport).Totals
}

// untilState waits until the only hit is in a state.
func (s *stage) untilState(state string) {
	s.t.Helper()
	rig.Until(s.t, "the hit is "+state, func() bool { r := s.rows(); return len(r) == 1 && r[0].State == state })
}

// untilCalls waits until the broker knows of so many calls of the hit.
func (s *stage) untilCalls(n uint64) {
	s.t.Helper()
	rig.Until(s.t, fmt.Sprintf("%d calls are at the broker", n), func() bool { r := s.rows(); return len(r) == 1 && uint64(r[0].Calls) == n })
}

// counted requires that a refusal was counted since before.
func (s *stage) counted(status string, before map[string]uint64) {
	s.t.Helper()
	require.Greater(s.t, s.broker.Counters()["refused_"+status], before["refused_"+status])
}

// kept bounds what a broker keeps.
func kept(bytes int, limit time.Duration) func(*assigner.BrokerConfig) {
	return func(c *assigner.BrokerConfig) { c.MaxKept, c.MaxResume = bytes, limit }
}

// languages runs a test with holders in Go and in Python.
func languages(t *testing.T, test func(t *testing.T, hold func(*testing.T, string) *holder)) {
	t.Run("go", func(t *testing.T) { test(t, goHolder) })
	t.Run("python", func(t *testing.T) {
		if testing.Short() {
			t.Skip("the short form is about Go only")
		}
		test(t, pythonHolder)
	})
}
