package brokers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// caller is a client of several brokers, in Go or in Python.
type caller interface {
	// awaits returns when these brokers know the client, and answer.
	awaits(brokers ...*harbour)
	// spread opens so many hits, lanes at a time, and calls each of them; they stay open. It returns how many each worker has got of them. One that
	// cannot be opened, or not called, fails the test.
	spread(hits, lanes int) map[string]int
	// do makes so many one-shots, and returns how many of them each worker has answered.
	do(calls int) map[string]int
	// verify calls all hits that are open once more.
	verify()
	// release closes all of them.
	release()
}

// dialer makes a client that gives each broker so much time to say something.
type dialer = func(patience time.Duration, brokers ...assigner.BrokerRef) caller

const (
	usual   = 250 * time.Millisecond
	endless = time.Minute // on a machine that is busy, brokers are not silent but slow
)

// callers runs a test with clients in Go and in Python.
func callers(t *testing.T, test func(t *testing.T, dial dialer)) {
	t.Run("go", func(t *testing.T) {
		test(t, func(p time.Duration, brokers ...assigner.BrokerRef) caller { return goCaller(t, p, brokers...) })
	})
	t.Run("python", func(t *testing.T) {
		if testing.Short() {
			t.Skip("the short form is about Go only")
		}
		test(t, func(p time.Duration, brokers ...assigner.BrokerRef) caller { return pythonCaller(t, p, brokers...) })
	})
}

// refs names brokers, all of the same weight.
func refs(at ...string) (all []assigner.BrokerRef) {
	for _, url := range at {
		all = append(all, assigner.BrokerRef{URL: url, Weight: 1})
	}
	return all
}

// gopher is the caller in Go.
type gopher struct {
	t      *testing.T
	client *assigner.Client
	hits   []*assigner.Hit
}

func goCaller(t *testing.T, patience time.Duration, brokers ...assigner.BrokerRef) *gopher {
	t.Helper()
	c, err := assigner.Dial(rig.Context(t), assigner.ClientConfig{Brokers: brokers, Patience: patience, Logger: rig.Logger(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(context.Background())) })
	return &gopher{t: t, client: c}
}

func (g *gopher) awaits(brokers ...*harbour) {
	g.t.Helper()
	for _, b := range brokers {
		rig.Until(g.t, b.name+" knows the client", func() bool {
			for _, s := range g.client.Brokers() {
				if s.URL == b.Clients {
					return s.Registered && !s.Silent
				}
			}
			return false
		})
	}
}

func (g *gopher) spread(hits, lanes int) map[string]int {
	g.t.Helper()
	at, opened, err := spread(rig.Context(g.t), g.client, hits, lanes)
	require.NoError(g.t, err)
	g.hits = append(g.hits, opened...)
	return at
}

// spread opens hits in some lanes, calls each once, and counts the workers that have them.
func spread(ctx context.Context, c *assigner.Client, n, lanes int) (at map[string]int, hits []*assigner.Hit, failed error) {
	var mu sync.Mutex
	at = make(map[string]int)
	var group sync.WaitGroup
	for lane := range lanes {
		group.Go(func() {
			for i := lane; i < n; i += lanes {
				h, err := c.Open(ctx, "berth")
				if err == nil {
					_, err = answered(ctx, h, strconv.Itoa(i))
				}
				mu.Lock()
				if err != nil {
					failed = fmt.Errorf("hit %d of %d: %w", i, n, err)
					mu.Unlock()
					return
				}
				at[h.Worker()]++
				hits = append(hits, h)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return at, hits, failed
}

// answered makes a call, and returns the thread that has answered it.
func answered(ctx context.Context, h *assigner.Hit, body string) (int, error) {
	reply, err := h.Call(ctx, []byte(body))
	if err != nil {
		return 0, err
	}
	same, thread, _ := strings.Cut(string(reply), " ")
	if same != body {
		return 0, fmt.Errorf("asked %s, got %q", body, reply)
	}
	return strconv.Atoi(thread)
}

func (g *gopher) do(calls int) map[string]int {
	g.t.Helper()
	at := make(map[string]int)
	for i := range calls {
		reply, err := g.client.Do(rig.Context(g.t), "name", []byte(strconv.Itoa(i)))
		require.NoError(g.t, err, "one-shot %d of %d", i, calls)
		at[string(reply)]++
	}
	return at
}

func (g *gopher) verify() {
	g.t.Helper()
	for i, h := range g.hits {
		_, err := answered(rig.Context(g.t), h, strconv.Itoa(i))
		require.NoError(g.t, err, "hit %x at worker %s", h.Handle(), h.Worker())
	}
}

func (g *gopher) release() {
	g.t.Helper()
	for _, h := range g.hits {
		require.NoError(g.t, h.Close(rig.Context(g.t)))
	}
	g.hits = nil
}

// snake is the caller in Python.
type snake struct {
	t *testing.T
	*rig.Process
}

func pythonCaller(t *testing.T, patience time.Duration, brokers ...assigner.BrokerRef) *snake {
	t.Helper()
	args := []string{strconv.FormatFloat(patience.Seconds(), 'f', -1, 64)}
	for _, b := range brokers {
		args = append(args, b.URL, strconv.Itoa(b.Weight))
	}
	return &snake{t, rig.Python(t, "testdata/caller.py", args...)}
}

// ask says a line and reads the answer, which is a JSON value, or names what went wrong.
func (s *snake) ask(line string, into any) {
	s.t.Helper()
	s.Say(line)
	answer := s.Await("")
	require.True(s.t, strings.HasPrefix(answer, "{"), "%s: %s", line, answer)
	require.NoError(s.t, json.Unmarshal([]byte(answer), into))
}

func (s *snake) awaits(brokers ...*harbour) {
	s.t.Helper()
	for _, b := range brokers {
		var none struct{}
		s.ask("awaits "+b.Clients, &none)
	}
}

func (s *snake) spread(hits, lanes int) map[string]int {
	s.t.Helper()
	at := make(map[string]int)
	s.ask(fmt.Sprintf("spread %d %d", hits, lanes), &at)
	return at
}

func (s *snake) do(calls int) map[string]int {
	s.t.Helper()
	at := make(map[string]int)
	s.ask(fmt.Sprintf("do %d", calls), &at)
	return at
}

func (s *snake) verify() {
	s.t.Helper()
	var none struct{}
	s.ask("verify", &none)
}

func (s *snake) release() {
	s.t.Helper()
	var none struct{}
	s.ask("release", &none)
}
