package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// echo answers a call with its own frames.
var echo = assigner.Service{Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
	for _, f := range c.Frames[1:] {
		c.More(f)
	}
	return c.Body(), nil
}}

// hold is a service whose calls stay in the handler until the test lets them go, or their context ends. A call's body is its key; a key that begins
// with "deaf" is not interested in its context.
type hold struct {
	mu      sync.Mutex
	gates   map[string]chan struct{}
	entered func(key string) // optional
	inside  chan string      // keys of calls that have begun
}

func newHold() *hold {
	return &hold{gates: make(map[string]chan struct{}), inside: make(chan string, 1<<12)}
}

func (h *hold) gate(key string) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gates[key] == nil {
		h.gates[key] = make(chan struct{})
	}
	return h.gates[key]
}

// free lets the call with this key go, now or when it comes.
func (h *hold) free(key string) { close(h.gate(key)) }

func (h *hold) service() assigner.Service { return assigner.Service{Handler: h.call} }

func (h *hold) call(ctx context.Context, c *assigner.Call) ([]byte, error) {
	key := string(c.Body())
	if h.entered != nil {
		h.entered(key)
	}
	h.inside <- key
	done := ctx.Done()
	if len(key) >= 4 && key[:4] == "deaf" {
		done = nil
	}
	select {
	case <-h.gate(key):
		return []byte("freed " + key), nil
	case <-done:
		return nil, ctx.Err()
	}
}

// awaitInside returns when the call with this key has begun.
func (h *hold) awaitInside(t testing.TB, key string) {
	t.Helper()
	for rig.Receive(t, h.inside, "the call "+key+" to begin") != key {
	}
}

// result is what a call in the background came to.
type result struct {
	reply string
	err   error
}

// callLater makes a call in the background.
func callLater(ctx context.Context, h *assigner.Hit, body string) <-chan result {
	got := make(chan result, 1)
	go func() {
		reply, err := h.Call(ctx, []byte(body))
		got <- result{string(reply), err}
	}()
	return got
}

// opening is what an open in the background came to.
type opening struct {
	hit *assigner.Hit
	err error
}

// openLater opens a hit in the background.
func openLater(ctx context.Context, c *assigner.Client, service string) <-chan opening {
	got := make(chan opening, 1)
	go func() {
		h, err := c.Open(ctx, service)
		got <- opening{h, err}
	}()
	return got
}

// open opens a hit, which must succeed.
func open(t testing.TB, ctx context.Context, c *assigner.Client, service string) *assigner.Hit {
	t.Helper()
	h, err := c.Open(ctx, service)
	require.NoError(t, err)
	return h
}

// requireReply makes a call whose reply is known.
func requireReply(t testing.TB, ctx context.Context, h *assigner.Hit, body, want string) {
	t.Helper()
	reply, err := h.Call(ctx, []byte(body))
	require.NoError(t, err)
	require.Equal(t, want, string(reply))
}

// told is what an error tells.
type told struct {
	text string
	why  machine.Why // zero where there is no why-record
}

// requireError requires an *assigner.Error of a kind with an outcome, and returns what it tells.
func requireError(t testing.TB, err, kind error, outcome assigner.Outcome) told {
	t.Helper()
	require.ErrorIs(t, err, kind)
	var e *assigner.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, outcome, e.Outcome, "%v", err)
	require.NotEmpty(t, e.Text)
	said := told{text: err.Error()}
	if len(e.Why) > 0 && !errors.Is(kind, assigner.ErrService) {
		require.NoError(t, json.Unmarshal(e.Why, &said.why), "%s", e.Why)
	}
	return said
}

// soon is for contexts whose end is what the test waits for.
const soon = 50 * time.Millisecond

// contextWith returns a context with a deadline that is meant to pass.
func contextWith(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(rig.Context(t), d)
}

// reset makes later calls with this key wait again.
func (h *hold) reset(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.gates, key)
}

// status asks the broker how it is.
func status(t testing.TB, ctx context.Context, c *assigner.Client) machine.StatusReport {
	t.Helper()
	raw, err := c.Admin(ctx, machine.AdminRequest{Cmd: "status"})
	require.NoError(t, err)
	var s machine.StatusReport
	require.NoError(t, json.Unmarshal(raw, &s))
	return s
}

// waitingOpens returns how many opens of a service wait for a slot.
func waitingOpens(t testing.TB, ctx context.Context, c *assigner.Client, service string) int {
	t.Helper()
	for _, row := range status(t, ctx, c).Services {
		if row.Name == service {
			return row.Waiting
		}
	}
	return 0
}

// hits lists the open hits.
func hits(t testing.TB, ctx context.Context, c *assigner.Client) []machine.HitRow {
	t.Helper()
	raw, err := c.Admin(ctx, machine.AdminRequest{Cmd: "hit.list"})
	require.NoError(t, err)
	var l struct {
		Hits []machine.HitRow `json:"hits"`
	}
	require.NoError(t, json.Unmarshal(raw, &l))
	return l.Hits
}

// row returns a hit's line in the listing.
func row(t testing.TB, ctx context.Context, c *assigner.Client, h *assigner.Hit) machine.HitRow {
	t.Helper()
	for _, r := range hits(t, ctx, c) {
		if r.Hit == strconv.FormatUint(h.Handle(), 16) {
			return r
		}
	}
	require.FailNow(t, "the hit is not in the listing", "%x", h.Handle())
	return machine.HitRow{}
}

// callsUnderWay returns how many calls of a hit the broker has passed on and seen no answer of.
func callsUnderWay(t testing.TB, ctx context.Context, c *assigner.Client, h *assigner.Hit) int {
	t.Helper()
	return int(row(t, ctx, c, h).Waiting)
}

// openAt opens a hit at a certain worker, and others until it gets it.
func openAt(t testing.TB, ctx context.Context, c *assigner.Client, worker string) *assigner.Hit {
	t.Helper()
	for {
		if h := open(t, ctx, c, "hold"); h.Worker() == worker {
			return h
		}
	}
}

// workerState returns a worker's state in the listing, empty if it is not there.
func workerState(t testing.TB, ctx context.Context, c *assigner.Client, name string) string {
	t.Helper()
	raw, err := c.Admin(ctx, machine.AdminRequest{Cmd: "worker.list"})
	require.NoError(t, err)
	var l struct {
		Workers []machine.WorkerRow `json:"workers"`
	}
	require.NoError(t, json.Unmarshal(raw, &l))
	for _, w := range l.Workers {
		if w.Name == name {
			return w.State
		}
	}
	return ""
}
