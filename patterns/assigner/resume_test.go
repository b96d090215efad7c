package assigner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// gate is a service whose calls wait for the test: each says that it has begun, and ends with what it is given.
type gate struct {
	begun chan string
	free  chan struct{}
	ran   atomic.Int64
}

func newGate() *gate { return &gate{begun: make(chan string, 64), free: make(chan struct{}, 64)} }

func (g *gate) service() assigner.Service {
	return assigner.Service{Handler: func(ctx context.Context, c *assigner.Call) ([]byte, error) {
		g.ran.Add(1)
		g.begun <- string(c.Body())
		select {
		case <-g.free:
			return append([]byte("re: "), c.Body()...), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
}

// resumeStage is a broker, a worker with a gate, and a way to the broker that can be cut.
type resumeStage struct {
	t      *testing.T
	broker *assigner.Broker
	worker *assigner.Worker
	gate   *gate
	line   *wireline
}

func newResumeStage(t *testing.T, change ...func(*assigner.BrokerConfig)) *resumeStage {
	t.Helper()
	free := []string{"tcp://127.0.0.1:0"}
	cfg := assigner.BrokerConfig{Clients: free, Workers: free, Logger: quiet(), Poison: true}
	for _, f := range change {
		f(&cfg)
	}
	b, err := assigner.NewBroker(cfg)
	require.NoError(t, err)
	require.NoError(t, b.Start(limited(t)))
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	s := &resumeStage{t: t, broker: b, gate: newGate()}
	s.worker = startWorker(t, b.WorkerEndpoints()[0], services{"gate": s.gate.service()})
	receive(t, s.worker.Welcomed(), "the worker's registration")
	s.line = lay(t, b.ClientEndpoints()[0])
	return s
}

func (s *resumeStage) open(c *assigner.Client, resume time.Duration) *assigner.Hit {
	s.t.Helper()
	h, err := c.OpenWith(limited(s.t), assigner.OpenRequest{Service: "gate", Resume: resume})
	require.NoError(s.t, err)
	return h
}

// rows lists the broker's hits.
func (s *resumeStage) rows() []machine.HitRow {
	s.t.Helper()
	answer, err := s.broker.Administer(limited(s.t), machine.AdminRequest{Cmd: "hit.list"})
	require.NoError(s.t, err)
	return answer.(map[string]any)["hits"].([]machine.HitRow)
}

func (s *resumeStage) status() machine.StatusReport {
	s.t.Helper()
	answer, err := s.broker.Administer(limited(s.t), machine.AdminRequest{Cmd: "status"})
	require.NoError(s.t, err)
	return answer.(machine.StatusReport)
}

func (s *resumeStage) untilAdrift() {
	s.t.Helper()
	until(s.t, "the hit is adrift", func() bool { r := s.rows(); return len(r) == 1 && r[0].State == "adrift" })
}

type result struct {
	reply []byte
	err   error
}

func later(ctx context.Context, h *assigner.Hit, body string) <-chan result {
	got := make(chan result, 1)
	go func() {
		reply, err := h.Call(ctx, []byte(body))
		got <- result{reply, err}
	}()
	return got
}

func (s *resumeStage) expect(got <-chan result, body string) {
	s.t.Helper()
	r := receive(s.t, got, "the reply to "+body)
	require.NoError(s.t, r.err)
	require.Equal(s.t, "re: "+body, string(r.reply))
}

func (s *resumeStage) began(body string) {
	s.t.Helper()
	require.Equal(s.t, body, receive(s.t, s.gate.begun, "call "+body))
}

func requireFailed(t testing.TB, err, is error, o assigner.Outcome) {
	t.Helper()
	require.ErrorIs(t, err, is)
	var e *assigner.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, o, e.Outcome, "%v", err)
}

func TestCallsGoOnAcrossALostConnection(t *testing.T) {
	s := newResumeStage(t)
	h := s.open(dial(t, s.line.endpoint), time.Minute)
	thread := h.Thread()
	ctx := limited(t)
	running, waiting := later(ctx, h, "running"), (<-chan result)(nil)
	s.began("running")
	waiting = later(ctx, h, "waiting")
	until(t, "both calls are at the broker", func() bool { return s.rows()[0].Calls == 2 })
	s.line.cut()
	s.untilAdrift()
	s.gate.free <- struct{}{}
	s.began("waiting")
	made := later(ctx, h, "made meanwhile")
	s.line.mend()
	s.expect(running, "running")
	s.gate.free <- struct{}{}
	s.expect(waiting, "waiting")
	s.began("made meanwhile")
	s.gate.free <- struct{}{}
	s.expect(made, "made meanwhile")
	require.EqualValues(t, 3, s.gate.ran.Load(), "each call ran once")
	require.Equal(t, thread, int(s.rows()[0].Thread))
	require.EqualValues(t, 1, s.status().Totals.Resumed)
	require.NoError(t, h.Close(ctx))
	require.Empty(t, s.rows())
}

func TestACallGivenUpWhileTheConnectionIsLost(t *testing.T) {
	s := newResumeStage(t)
	h := s.open(dial(t, s.line.endpoint), time.Minute)
	running := later(limited(t), h, "running")
	s.began("running")
	s.line.cut()
	s.untilAdrift()
	short, cancel := context.WithCancel(limited(t))
	made, last := later(short, h, "given up"), (<-chan result)(nil)
	v, err := h.IsAlive(expired(t))
	require.Error(t, err, "%v", v)
	cancel()
	r := receive(t, made, "the end of the call")
	requireFailed(t, r.err, assigner.ErrCancelled, assigner.NeverStarted)
	last = later(limited(t), h, "last")
	s.line.mend()
	s.gate.free <- struct{}{}
	s.gate.free <- struct{}{}
	s.expect(running, "running")
	s.expect(last, "last")
	require.EqualValues(t, 2, s.gate.ran.Load())
}

func expired(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(limited(t))
	cancel()
	return ctx
}

func TestARestartedBrokerEndsTheHit(t *testing.T) {
	s := newResumeStage(t)
	at := s.broker.ClientEndpoints()[0]
	h := s.open(dial(t, s.line.endpoint), time.Minute)
	running := later(limited(t), h, "running")
	s.began("running")
	ticket, err := h.Ticket()
	require.NoError(t, err)
	s.line.cut()
	s.untilAdrift()
	made := later(limited(t), h, "made meanwhile")
	require.NoError(t, s.broker.Close(limited(t)))
	b, err := assigner.NewBroker(assigner.BrokerConfig{Clients: []string{at}, Workers: []string{"tcp://127.0.0.1:0"}, Logger: quiet()})
	require.NoError(t, err)
	require.NoError(t, b.Start(limited(t)))
	t.Cleanup(func() { require.NoError(t, b.Close(context.Background())) })
	s.line.mend()
	requireFailed(t, receive(t, running, "the end of the call").err, assigner.ErrBrokerGone, assigner.Unknown)
	r := receive(t, made, "the end of the other call")
	requireFailed(t, r.err, assigner.ErrBrokerGone, assigner.NeverStarted)
	require.ErrorContains(t, r.err, "restarted")
	_, err = dial(t, s.line.endpoint).Resume(limited(t), ticket)
	requireFailed(t, err, assigner.ErrBrokerGone, assigner.Unknown)
	require.ErrorContains(t, err, "restarted")
}

func TestAHitThatIsNotReachedInTimeIsGivenUp(t *testing.T) {
	s := newResumeStage(t, func(c *assigner.BrokerConfig) { c.MaxResume = 50 * time.Millisecond })
	h := s.open(dial(t, s.line.endpoint), time.Minute)
	running := later(limited(t), h, "running")
	s.began("running")
	s.line.cut()
	r := receive(t, running, "the end of the call")
	requireFailed(t, r.err, assigner.ErrBrokerGone, assigner.Unknown)
	require.ErrorContains(t, r.err, "50ms")
	until(t, "the slot is free", func() bool { return s.worker.Busy() == 0 })
	require.EqualValues(t, 1, s.status().Totals.Abandoned)
	_, err := h.Call(limited(t), nil)
	requireFailed(t, err, assigner.ErrBrokerGone, assigner.NeverStarted)
}

func TestATicketTakesTheHitUpElsewhere(t *testing.T) {
	s := newResumeStage(t)
	first, second := dial(t, s.line.endpoint), dial(t, s.broker.ClientEndpoints()[0])
	h := s.open(first, time.Minute)
	ctx := limited(t)
	done := later(ctx, h, "done")
	s.began("done")
	s.gate.free <- struct{}{}
	s.expect(done, "done")
	running := later(ctx, h, "running")
	s.began("running")
	waiting := later(ctx, h, "waiting")
	until(t, "both calls are at the broker", func() bool { return s.rows()[0].Calls == 3 })
	ticket, err := h.Detach(ctx)
	require.NoError(t, err)
	for _, got := range []<-chan result{running, waiting} {
		requireFailed(t, receive(t, got, "the end of a call").err, assigner.ErrClosed, assigner.Unknown)
	}
	_, err = h.Detach(ctx)
	requireFailed(t, err, assigner.ErrClosed, assigner.NeverStarted)
	s.untilAdrift()
	require.NoError(t, first.Close(ctx)) // its BYE ends what it holds only
	s.gate.free <- struct{}{}
	s.began("waiting")

	again, err := second.Resume(ctx, ticket)
	require.NoError(t, err)
	require.Equal(t, h.Handle(), again.Handle())
	require.Equal(t, "gate", again.Service())
	require.Equal(t, h.Worker(), again.Worker())
	inherited := again.Inherited()
	require.Len(t, inherited, 2)
	require.EqualValues(t, 2, inherited[0].Seq)
	for range 2 { // asked twice, told twice
		reply, err := inherited[0].Wait(ctx)
		require.NoError(t, err)
		require.Equal(t, "re: running", string(reply[0]))
	}
	_, err = inherited[1].Wait(expired(t))
	requireFailed(t, err, assigner.ErrCancelled, assigner.Unknown)
	s.gate.free <- struct{}{}
	reply, err := inherited[1].Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, "re: waiting", string(reply[0]))
	mine := later(ctx, again, "mine")
	s.began("mine")
	s.gate.free <- struct{}{}
	s.expect(mine, "mine")

	_, err = second.Resume(ctx, ticket)
	require.ErrorContains(t, err, "holds the hit already")
	require.NoError(t, again.Close(ctx))
	_, err = second.Resume(ctx, ticket)
	requireFailed(t, err, assigner.ErrClosed, assigner.Unknown)
}

func TestATicketIsOfABrokerNotOfAnAddress(t *testing.T) {
	s := newResumeStage(t)
	h := s.open(dial(t, s.line.endpoint), time.Minute)
	ticket, err := h.Ticket()
	require.NoError(t, err)
	c := dialAll(t, nil, harbour(t, "elsewhere", 1), s.broker.ClientEndpoints()[0])
	registered(t, c, 2)
	again, err := c.Resume(limited(t), ticket)
	require.NoError(t, err)
	require.Equal(t, h.Handle(), again.Handle())
}

func TestTwoClientsWithOneTicket(t *testing.T) {
	s := newResumeStage(t)
	h := s.open(dial(t, s.line.endpoint), time.Minute)
	ctx := limited(t)
	running := later(ctx, h, "running")
	s.began("running")
	ticket, err := h.Ticket()
	require.NoError(t, err)
	again, err := dial(t, s.line.endpoint).Resume(ctx, ticket)
	require.NoError(t, err)
	requireFailed(t, receive(t, running, "the end of the call").err, assigner.ErrFenced, assigner.Unknown)
	_, err = h.Call(ctx, nil)
	requireFailed(t, err, assigner.ErrFenced, assigner.NeverStarted)
	requireFailed(t, h.Close(ctx), assigner.ErrFenced, assigner.NeverStarted)
	s.gate.free <- struct{}{}
	reply, err := again.Inherited()[0].Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, "re: running", string(reply[0]))
	require.NotZero(t, s.broker.Counters()["refused_fenced"])
}

func TestAnAnswerTooLargeToBeKept(t *testing.T) {
	s := newResumeStage(t, func(c *assigner.BrokerConfig) { c.MaxKept = 1000 })
	h := s.open(dial(t, s.line.endpoint), time.Minute)
	big := strings.Repeat("x", 2000)
	running := later(limited(t), h, big)
	s.began(big)
	next := later(limited(t), h, "small")
	until(t, "both calls are at the broker", func() bool { return s.rows()[0].Calls == 2 })
	s.line.cut()
	s.untilAdrift()
	s.gate.free <- struct{}{}
	s.began("small")
	s.line.mend()
	r := receive(t, running, "the end of the call")
	requireFailed(t, r.err, assigner.ErrReplyLost, assigner.ReplyLost)
	require.ErrorContains(t, r.err, "--max-kept")
	s.gate.free <- struct{}{}
	s.expect(next, "small")
}

func TestManyAnswersAreAcknowledged(t *testing.T) {
	s := newResumeStage(t, func(c *assigner.BrokerConfig) { c.MaxKept = 3000 })
	h := s.open(dial(t, s.line.endpoint), time.Minute)
	for range 200 { // more than could be kept
		s.gate.free <- struct{}{}
		_, err := h.Call(limited(t), nil)
		require.NoError(t, err)
		<-s.gate.begun
	}
	running := later(limited(t), h, "last")
	s.began("last")
	s.line.cut()
	s.untilAdrift()
	s.gate.free <- struct{}{}
	s.line.mend()
	s.expect(running, "last")
}

func TestBadTickets(t *testing.T) {
	s := newResumeStage(t)
	c := dial(t, s.broker.ClientEndpoints()[0])
	h := s.open(c, time.Minute)
	good, err := h.Ticket()
	require.NoError(t, err)
	damaged := []byte(good)
	damaged[len(damaged)/2] ^= 1
	for text, says := range map[string]string{
		"": "does not begin", "hello": "does not begin", good[:len(good)-1]: "checksum", good[:len(good)/2]: "parts", string(damaged): "checksum",
		strings.Replace(good, ":1:", ":2:", 1): "version",
	} {
		_, err := c.Resume(limited(t), text)
		require.ErrorIs(t, err, assigner.ErrBadTicket, "%q", text)
		require.ErrorContains(t, err, says)
	}
	_, err = c.Resume(limited(t), "  "+good+"\n")
	require.NotErrorIs(t, err, assigner.ErrBadTicket, "blanks around it do no harm")

	plain := s.open(c, 0)
	_, err = plain.Ticket()
	requireFailed(t, err, assigner.ErrBadKey, assigner.NeverStarted)
	_, err = plain.Detach(limited(t))
	requireFailed(t, err, assigner.ErrBadKey, assigner.NeverStarted)
	for _, d := range []time.Duration{-1, time.Microsecond, 25 * time.Hour} {
		_, err = c.OpenWith(limited(t), assigner.OpenRequest{Service: "gate", Resume: d})
		requireFailed(t, err, assigner.ErrProtocol, assigner.NeverStarted)
	}
	_, err = c.DoWith(limited(t), assigner.OpenRequest{Service: "gate", Resume: time.Second}, assigner.Request{})
	requireFailed(t, err, assigner.ErrProtocol, assigner.NeverStarted)
}

func TestVitals(t *testing.T) {
	s := newResumeStage(t)
	c := dial(t, s.line.endpoint)
	ctx := limited(t)
	v, err := c.IsAlive(ctx)
	require.NoError(t, err)
	require.True(t, v.Alive)
	require.Equal(t, "broker", v.Peer)
	h := s.open(c, time.Minute)
	running := later(ctx, h, "running")
	s.began("running")
	v, err = h.IsAlive(ctx)
	require.NoError(t, err)
	require.Equal(t, assigner.Vitals{Peer: "worker", Alive: true, By: v.By, Within: 3 * time.Second, State: "open", Running: 1, For: v.For, Progress: v.Progress}, v)
	before := v.Progress
	until(t, "no sign of progress comes, and that is told", func() bool {
		v, err = h.IsAlive(ctx)
		require.NoError(t, err)
		require.True(t, v.Alive)
		return v.Progress > before+5*time.Millisecond
	})
	s.gate.free <- struct{}{}
	s.expect(running, "running")
	require.NoError(t, h.Close(ctx))
	v, err = h.IsAlive(ctx)
	require.NoError(t, err)
	require.False(t, v.Alive)
	require.Equal(t, "over", v.State)
	s.line.cut()
	until(t, "the client knows that its broker is gone", func() bool {
		_, err := c.IsAlive(expired(t))
		return errors.Is(err, assigner.ErrBrokerGone)
	})
}

func TestVitalsOfACallsClient(t *testing.T) {
	s := newResumeStage(t)
	asked, told := make(chan struct{}), make(chan assigner.Vitals)
	w := startWorker(t, s.broker.WorkerEndpoints()[0], services{"ask": {Handler: func(ctx context.Context, c *assigner.Call) ([]byte, error) {
		for range asked {
			v, err := c.IsAlive(context.Background())
			if err != nil {
				return nil, err
			}
			told <- v
		}
		return bytes.Clone(c.Body()), nil
	}}}, func(c *assigner.WorkerConfig) { c.Name = "asker" })
	receive(t, w.Welcomed(), "the worker's registration")
	ask := func() assigner.Vitals {
		asked <- struct{}{}
		return receive(t, told, "the client's vitals")
	}
	h, err := dial(t, s.line.endpoint).OpenWith(limited(t), assigner.OpenRequest{Service: "ask", Resume: time.Minute})
	require.NoError(t, err)
	running := later(limited(t), h, "x")
	v := ask()
	require.True(t, v.Alive)
	require.Equal(t, "client", v.Peer)
	s.line.cut()
	until(t, "the client is not alive", func() bool { v = ask(); return !v.Alive })
	require.Equal(t, "adrift", v.State)
	s.line.mend()
	until(t, "the client is back", func() bool { return ask().Alive })
	close(asked)
	require.NoError(t, receive(t, running, "the reply").err)
}

func TestErrorsNameTheirOutcome(t *testing.T) {
	for status, is := range map[wire.Status]error{wire.LostReply: assigner.ErrReplyLost, wire.BadKey: assigner.ErrBadKey, wire.Fenced: assigner.ErrFenced} {
		err := fmt.Errorf("wrapped: %w", &assigner.Error{Status: status, Outcome: assigner.ReplyLost})
		require.ErrorIs(t, err, is)
		require.ErrorContains(t, err, "finished, reply lost")
	}
}
