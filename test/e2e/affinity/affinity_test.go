package affinity_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// many is how many hits are open at the same time in one worker process.
const many = 500

func TestFiveHundredHitsAtOnceInOneGoProcess(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("keep=%t", keep), func(t *testing.T) {
			site := rig.NewSite(t, rig.TCP)
			site.Broker()
			rig.Spawn(t, "worker", cast{Broker: site.Workers, Name: "go", Slots: many, Barrier: many, Limit: rig.Patience, Keep: keep}).Await("registered")
			requireAffinity(t, site, many, 10)
		})
	}
}

func TestFiveHundredHitsAtOnceInOnePythonProcess(t *testing.T) {
	site := rig.NewSite(t, rig.TCP)
	site.Broker()
	rig.Python(t, "testdata/witness.py", site.Workers, "python", fmt.Sprint(many), fmt.Sprint(many), fmt.Sprint(rig.Patience.Seconds())).Await("registered")
	requireAffinity(t, site, many, 4)
}

// requireAffinity runs the proof with n hits at once and requires that nothing contradicts it.
func requireAffinity(t *testing.T, site *rig.Site, n, calls int) {
	t.Helper()
	ctx, c, v := rig.Context(t), site.Client(), &violations{}
	threads := crowd(ctx, c, n, calls, v)
	judge(ctx, c, int64(n), v)
	v.requireNone(t)
	require.Len(t, threads, n, "as many threads as hits")
}

// The long proof: hits of all clients come and go on the slots of four processes.
const (
	processes = 4
	slotsEach = 128
	allHits   = 10_000
	lanes     = 3
)

func TestAMillionCallsOverTenThousandHits(t *testing.T) {
	calls := 100 // per hit
	if testing.Short() {
		calls = 10
		t.Logf("short form: %d calls in place of a million", calls*allHits)
	}
	site := rig.NewSite(t, rig.TCP)
	site.Broker()
	for i := range processes {
		rig.Spawn(t, "worker", cast{Broker: site.Workers, Name: fmt.Sprintf("w%d", i), Slots: slotsEach, Barrier: 1, Limit: rig.Patience}).Await("registered")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*rig.Patience)
	defer cancel()
	v, tally := &violations{}, &tally{}
	begun := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		c := site.Client()
		for range processes * slotsEach / 2 {
			wg.Go(func() {
				for i := next.Add(1); i <= allHits; i = next.Add(1) {
					tally.add(visit(ctx, c, uint64(i), calls, v))
				}
			})
		}
	}
	wg.Wait()
	t.Logf("%d calls over %d hits in %v", tally.calls, tally.hits, time.Since(begun).Round(time.Millisecond))
	v.requireNone(t)
	require.Equal(t, allHits*calls, tally.calls)
	require.Equal(t, allHits, tally.hits)
	require.Len(t, tally.workers, processes, "every process served hits: %v", tally.workers)
}

// tally counts what was done.
type tally struct {
	mu          sync.Mutex
	hits, calls int
	workers     map[string]int
}

func (a *tally) add(g *guest) {
	if g == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.workers == nil {
		a.workers = make(map[string]int)
	}
	a.hits++
	a.calls += g.made
	a.workers[g.hit.Worker()]++
}

// visit opens a hit, makes its calls and closes it.
func visit(ctx context.Context, c *assigner.Client, i uint64, calls int, v *violations) *guest {
	g, err := enter(ctx, c, 0xB0000000+i, v)
	if err != nil {
		v.add("open %d: %v", i, err)
		return nil
	}
	g.talk(ctx, lanes, calls/lanes)
	for g.made < calls {
		g.next(ctx, fmt.Sprintf("%d 1", g.lane))
		g.lane++
	}
	if err := g.hit.Close(ctx); err != nil {
		v.add("close of hit %x: %v", g.hit.Handle(), err)
	}
	return g
}
