package chaos

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/test/harness"
)

// The variables by which make chaos and make chaos-long choose a form; without them it is a very short one.
const (
	durationVar = "CHAOS_DURATION"
	reportVar   = "CHAOS_REPORT"
)

// TestChaos is a run. Its length is CHAOS_DURATION's; what it finds is written to CHAOS_REPORT, if that is set.
func TestChaos(t *testing.T) {
	f := form{Duration: 8 * time.Second, Silence: 3 * time.Second, Go: 2, Python: 1, Clients: 1, Visitors: 5, Pause: 20 * time.Millisecond, Patience: harness.Patience}
	if text := os.Getenv(durationVar); text != "" {
		d, err := time.ParseDuration(text)
		require.NoError(t, err, durationVar)
		f = form{Duration: d, Silence: 1500 * time.Millisecond, Go: 3, Python: 2, Clients: 2, Visitors: 8, Pause: 20 * time.Millisecond, Least: 20, Patience: harness.Patience}
		if d < 90*time.Second {
			f.Least = 0 // there is no time for so many
		}
	}
	if out, err := exec.Command(python(), "-c", "import zmq").CombinedOutput(); err != nil {
		t.Logf("%s cannot import zmq, so nothing is said about Python: %v: %s (make setup installs it)", python(), err, out)
		f.Python = 0
	}
	r := run(t, f, harness.Seed(t))
	if name := os.Getenv(reportVar); name != "" {
		require.NoError(t, r.Write(name))
	}
	t.Logf("%d calls, %d violations; faults %v", r.Calls, r.Violations, r.Faults)
	for _, v := range r.First {
		t.Errorf("%s: %s", v.Promise, v.Text)
	}
	for kind, n := range r.Faults {
		if n < f.Least {
			t.Errorf("%s happened %d times, at least %d are wanted", kind, n, f.Least)
		}
	}
}

// run lets the faults happen, and judges.
func run(t *testing.T, f form, seed uint64) *Report {
	t.Helper()
	t.Logf("%s=%s", harness.SeedVar, strconv.FormatUint(seed, 10))
	w := newWorld(t, f, seed)
	began := w.Now()
	loading, unload := context.WithCancel(context.Background())
	defer unload()
	for _, p := range w.workers {
		require.NotEmpty(t, w.registered(loading, p), "worker %s", p.name)
	}
	wait := w.load(loading)
	if f.Busy {
		w.begin("starve", "host", "")
		harness.Starve(t, 2)
	}
	faulty, mend := context.WithCancel(context.Background())
	var lanes sync.WaitGroup
	w.startLanes(faulty, &lanes)
	w.lastAsLong(f)
	mend()
	lanes.Wait()
	unload()
	wait()
	return w.judge(w.Now() - began)
}

// lastAsLong waits for the end of the run.
func (w *world) lastAsLong(f form) {
	end := time.NewTimer(f.Duration)
	defer end.Stop()
	<-end.C
	if f.CallsAtLeast > 0 {
		poll(context.Background(), func() bool { return w.callsSoFar() >= f.CallsAtLeast })
	}
}

func (w *world) callsSoFar() (n uint64) {
	for _, c := range w.crowds {
		n += c.Calls.Load()
	}
	return n
}

func (w *world) startLanes(ctx context.Context, lanes *sync.WaitGroup) {
	if !w.form.Still || w.form.Forgers > 0 {
		lanes.Go(func() { w.forgerLane(ctx) })
	}
	if w.form.Still {
		return
	}
	for i, p := range w.workers {
		lanes.Go(func() { w.workerLane(ctx, i, p) })
	}
	if w.form.OnlyWorkers != "" {
		return
	}
	for i, p := range w.clients {
		lanes.Go(func() { w.clientLane(ctx, i, p) })
	}
	lanes.Go(func() { w.brokerLane(ctx) })
	lanes.Go(func() { w.hostLane(ctx) })
}

// judge ends the clients and holds everything against everything.
func (w *world) judge(took time.Duration) *Report {
	told := w.leave()
	sessions, err := ReadJournal(w.journal)
	require.NoError(w.t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	Audit(told, sessions, append(w.cut, "forger-"), &w.found)
	auditForger(sessions, &w.found)
	wrong, messages, answers := w.tap.Found()
	for _, v := range wrong {
		w.found.Add(v.Promise, "on the wire: %s", v.Text)
	}
	w.explain()
	r := &Report{Forged: w.forged, Seed: w.seed, Seconds: took.Seconds(), Messages: messages, Faults: make(map[string]int), Detection: make(map[string]Detection)}
	r.Take(told)
	if r.Calls == 0 || answers == 0 {
		w.found.Add("wrong", "nothing was tested: %d calls, %d answers on the wire", r.Calls, answers)
	}
	detected := make(map[string][]time.Duration)
	for _, f := range w.faults {
		r.Faults[f.kind]++
		for _, v := range f.verdicts {
			name := f.kind + ": " + v.is
			detected[name] = append(detected[name], v.after)
		}
	}
	for name, all := range detected {
		r.Detection[name] = NewDetection(all)
	}
	r.Judge(&w.found)
	return r
}

// leave ends the clients, waits until nothing is open any more, and returns what callers were told.
func (w *world) leave() []Told {
	w.mu.Lock()
	w.gone = true
	w.mu.Unlock()
	limit, cancel := context.WithTimeout(context.Background(), 2*harness.Patience)
	defer cancel()
	for _, p := range w.clients {
		if err := p.proc.Finish(); err != nil {
			w.blame("wrong", "client %s: %v", p.name, err)
		}
	}
	for _, c := range w.mine {
		if err := c.Close(limit); err != nil {
			w.blame("wrong", "a client could not be closed: %v", err)
		}
	}
	if err := w.quiet(limit); err != nil {
		w.blame("lost", "%v", err)
	}
	told := w.ledger.Entries()
	for _, file := range w.ledgers {
		more, err := ReadLedger(file)
		require.NoError(w.t, err)
		told = append(told, more...)
	}
	return told
}

// aftermath is how long after its end a fault explains a verdict: what was on its way.
const aftermath = 2 * time.Second

// explain looks for the fault of each verdict.
func (w *world) explain() {
	for _, v := range w.Verdicts() {
		explained := false
		for _, f := range w.faults {
			to := f.to
			if to == 0 {
				to = v.At
			}
			about := v.About(f.part) || v.By == f.part || f.link != "" && v.By == f.link && v.About(f.part)
			explained = explained || about && f.from <= v.At && v.At <= to+aftermath
		}
		if !explained {
			w.found.Add("false verdict", "%s at %v says %s: %s", v.By, v.At, v.Line(), v.Raw)
		}
	}
}
