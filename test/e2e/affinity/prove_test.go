package affinity_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// violations collects what contradicts the promise.
type violations struct {
	mu    sync.Mutex
	count int
	first []string
}

func (v *violations) add(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.count++
	if len(v.first) < 1000 {
		v.first = append(v.first, fmt.Sprintf(format, args...))
	}
}

// requireNone fails the test if anything contradicts the promise, and shows the beginning.
func (v *violations) requireNone(t testing.TB) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	require.Zero(t, v.count, "violations, first: %q", v.first[:min(len(v.first), 10)])
}

// guest is a hit at a witness, and what its client knows about it.
type guest struct {
	hit   *assigner.Hit
	value uint64 // thread-local, unique among all hits
	lane  int    // the next one
	made  int    // calls so far, but for those that run
	v     *violations
}

func enter(ctx context.Context, c *assigner.Client, value uint64, v *violations) (*guest, error) {
	h, err := c.OpenWith(ctx, assigner.OpenRequest{Service: "witness", Session: value})
	if err != nil {
		return nil, err
	}
	return &guest{hit: h, value: value, v: v}, nil
}

// call makes a call and holds the testimony against what is known.
func (g *guest) call(ctx context.Context, body string) (testimony, error) {
	var t testimony
	reply, err := g.hit.Call(ctx, []byte(body))
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(reply, &t); err != nil {
		return t, err
	}
	switch {
	case t.Hit != g.hit.Handle():
		g.v.add("hit %x got the reply of hit %x", g.hit.Handle(), t.Hit)
	case t.Thread != g.hit.Thread():
		g.v.add("hit %x: a call ran on thread %d, the hit was opened on %d", t.Hit, t.Thread, g.hit.Thread())
	case t.Value != g.value:
		g.v.add("hit %x: found the thread-local value %x, left %x", t.Hit, t.Value, g.value)
	}
	if t.Wrong != "" {
		g.v.add("hit %x: the session found: %s", t.Hit, t.Wrong)
	}
	return t, nil
}

// talk makes calls in several lanes at once, each lane waiting for its replies, and verifies the order of the replies.
func (g *guest) talk(ctx context.Context, lanes, calls int) {
	var wg sync.WaitGroup
	for lane := g.lane; lane < g.lane+lanes; lane++ {
		wg.Go(func() {
			seq := uint32(0)
			for i := range calls {
				t, err := g.call(ctx, fmt.Sprintf("%d %d", lane, i+1))
				if err != nil {
					g.v.add("hit %x: %v", g.hit.Handle(), err)
					return
				}
				if t.Lane != lane || t.Number != i+1 || t.Seq <= seq {
					g.v.add("hit %x: lane %d, call %d: got the reply of lane %d, call %d, seq %d after %d", t.Hit, lane, i+1, t.Lane, t.Number, t.Seq, seq)
				}
				seq = t.Seq
			}
		})
	}
	wg.Wait()
	g.lane += lanes
	g.made += lanes * calls
	g.next(ctx, fmt.Sprintf("%d 1", g.lane))
	g.lane++
}

// next makes a call while no other one is under way, so that its number is known.
func (g *guest) next(ctx context.Context, body string) testimony {
	g.made++
	t, err := g.call(ctx, body)
	if err != nil {
		g.v.add("hit %x: %s: %v", g.hit.Handle(), body, err)
	} else if t.Seq != uint32(g.made) {
		g.v.add("hit %x: call %d is said to be call %d", t.Hit, g.made, t.Seq)
	}
	return t
}

// crowd opens n hits at the same time, has all of them inside the barrier at once, talks with each, and closes them. It returns the threads seen
// inside the barrier.
func crowd(ctx context.Context, c *assigner.Client, n, calls int, v *violations) map[int]bool {
	guests := make([]*guest, n)
	each(n, func(i int) {
		g, err := enter(ctx, c, 0xA0000000+uint64(i), v)
		if err != nil {
			v.add("open %d of %d: %v", i, n, err)
			return
		}
		guests[i] = g
	})
	threads := make(map[int]bool)
	var mu sync.Mutex
	each(n, func(i int) {
		g := guests[i]
		if g == nil {
			return
		}
		g.talk(ctx, 2, calls/2)
		t := g.next(ctx, "barrier")
		if t.Inside != n {
			v.add("hit %x: %d of %d calls were inside the barrier", t.Hit, t.Inside, n)
		}
		mu.Lock()
		threads[t.Thread] = true
		mu.Unlock()
	})
	if len(threads) != n {
		v.add("%d hits open at once, on %d threads", n, len(threads))
	}
	each(n, func(i int) {
		if g := guests[i]; g != nil {
			g.talk(ctx, 1, 1)
			if err := g.hit.Close(ctx); err != nil {
				v.add("close of hit %x: %v", g.hit.Handle(), err)
			}
		}
	})
	return threads
}

func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// judge adds what the sessions of a worker have found, also at their close.
func judge(ctx context.Context, c *assigner.Client, sessions int64, v *violations) {
	reply, err := c.Do(ctx, "verdict", nil)
	if err != nil {
		v.add("verdict: %v", err)
		return
	}
	var w verdict
	if err := json.Unmarshal(reply, &w); err != nil {
		v.add("verdict: %v", err)
		return
	}
	if w.Opened != sessions || w.Closed != sessions {
		v.add("%d sessions were opened and %d closed, %d were asked for", w.Opened, w.Closed, sessions)
	}
	if w.Broken > 0 {
		v.add("%d sessions found something wrong, first: %s", w.Broken, w.First)
	}
}
