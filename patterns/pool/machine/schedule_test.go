package machine_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/pool/machine"
	"github.com/troupe-mq/troupe/patterns/pool/machine/ledger"
)

// schedule runs one world with the faults that its seed chooses, heals it, and waits for all to be as it should.
func schedule(seed uint64, faults machine.Faults) *world {
	w := newWorld(seed, faults)
	for range 1 + w.rng.IntN(3) {
		h := w.addHost()
		for range 1 + w.rng.IntN(4) {
			w.join(h, false, w.rng.IntN(12) == 0)
		}
	}
	w.lossy = [3]float64{0, 0.02, 0.2}[w.rng.IntN(3)]
	if w.lossy > 0 {
		w.trouble = time.Hour // nobody can be said to be in reach all the time
	}
	w.run(w.between(0, 500*time.Millisecond), never)
	end := w.now + w.between(time.Second, 8*time.Second)
	for w.now < end && len(w.broken) == 0 {
		w.act()
		w.run(w.now+w.between(0, 600*time.Millisecond), never)
		w.now = max(w.now, w.now+time.Millisecond)
	}
	w.healAll()
	w.lossy = 0
	w.run(w.now+time.Minute, w.settled)
	if len(w.broken) == 0 && !w.settled() {
		w.unsettled()
	}
	return w
}

func (w *world) unsettled() {
	for _, q := range w.asks {
		if !q.over && q.by.alive {
			w.wrong("question %d of %s has no end", q.seq, q.by)
			return
		}
	}
	w.wrong("no agreement after all was healed: %s", w.disagreement())
}

// act does one thing at random.
func (w *world) act() {
	a := w.nodes[w.rng.IntN(len(w.nodes))]
	h := w.hosts[w.rng.IntN(len(w.hosts))]
	if m := w.leader(h); m != nil && w.rng.IntN(3) == 0 {
		a = m
	}
	switch w.rng.IntN(16) {
	case 0, 1, 2:
		f := fault(1 + w.rng.IntN(4))
		w.tell("fault %d of %s", f, a)
		a.hang(f)
	case 3, 4:
		w.tell("%s resumes", a)
		a.resume()
	case 5:
		w.tell("%s dies", a)
		a.die()
	case 6:
		if len(w.living(a.host)) > 1 {
			w.tell("%s leaves", a)
			a.leave()
		}
	case 7, 8:
		if len(w.nodes) < 60 {
			w.tell("%s joins", w.join(h, w.rng.IntN(4) == 0, w.rng.IntN(12) == 0))
		}
	case 9:
		if other := w.hosts[w.rng.IntN(len(w.hosts))]; other != h {
			w.tell("cut between %d and %d", h.index, other.index)
			w.cut[pair(h, other)] = true
			w.trouble = w.now
		}
	case 10:
		clear(w.cut)
		w.trouble = w.now
	default:
		w.askSomething(a)
	}
}

func (w *world) askSomething(a *actor) {
	var sel ledger.Select
	switch w.rng.IntN(5) {
	case 0:
		sel.Host = fmt.Sprint("h", w.rng.IntN(len(w.hosts)))
	case 1:
		sel.Any = 1 + w.rng.IntN(3)
	}
	limit := time.Duration(0)
	if w.rng.IntN(6) == 0 {
		limit = w.between(0, time.Second)
	}
	w.ask(a, sel, limit)
}

// schedules runs many and returns the first that breaks a promise.
func schedules(t *testing.T, from, n uint64, faults machine.Faults) *world {
	began := time.Now()
	steps, asks, kills, sent := 0, 0, 0, 0
	defer func() {
		t.Logf("%.0f schedules and %.0f steps a second; %d questions, %d messages, %d kills", float64(n)/time.Since(began).Seconds(), float64(steps)/time.Since(began).Seconds(), asks, sent, kills)
	}()
	for seed := from; seed < from+n; seed++ {
		w := schedule(seed, faults)
		steps, asks, kills, sent = steps+w.steps, asks+len(w.asks), kills+w.kills, sent+w.sent
		if len(w.broken) > 0 {
			w.tell("seed %d", seed)
			n = seed - from + 1
			return w
		}
	}
	return nil
}

// TestPromises: after every step there is at most one heard master per term, nobody is asked twice, nobody is killed on less than the evidence, no ledger is without its end; after
// healing everything agrees. SEED=n repeats one schedule, and prints it.
func TestPromises(t *testing.T) {
	from, n := uint64(1), uint64(1500)
	if seed, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		from, n = seed, 1
	} else if many, err := strconv.ParseUint(os.Getenv("SCHEDULES"), 10, 64); err == nil {
		n = many
	} else if testing.Short() {
		n = 300
	}
	w := schedules(t, from, n, machine.Faults{})
	if w != nil {
		require.Empty(t, w.broken, "%s", strings.Join(w.trace[max(0, len(w.trace)-80):], "\n"))
	}
}
