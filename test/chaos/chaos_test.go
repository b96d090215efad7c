package chaos

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
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
	f := form{Duration: 7 * time.Second, Silence: 3 * time.Second, Stuck: 3 * time.Second, Go: 2, Python: 1, Clients: 1, Visitors: 5, Pause: 20 * time.Millisecond, Patience: harness.Patience}
	if text := os.Getenv(durationVar); text != "" {
		d, err := time.ParseDuration(text)
		require.NoError(t, err, durationVar)
		f = form{Duration: d, Silence: 1500 * time.Millisecond, Stuck: 2 * time.Second, Go: 3, Python: 2, Clients: 2, Visitors: 8, Pause: 20 * time.Millisecond, Least: 20, Patience: harness.Patience}
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
	if f.Least > 0 && r.Moved == 0 {
		t.Error("no call was answered by another worker, though many were lost")
	}
	for kind, n := range r.Faults {
		if n < f.Least && kind != "slow-links" {
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
		harness.Starve(t, 1)
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
	if !w.form.Busy {
		lanes.Go(func() { w.lateness(ctx) })
	}
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
	for i := range stickers {
		lanes.Go(func() { w.stuckLane(ctx, i) })
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
	Audit(told, sessions, append(w.cut, "forger-", "stuck-"), &w.found)
	auditForger(sessions, &w.found)
	wrong, messages, answers := w.tap.Found()
	for _, v := range wrong {
		w.found.Add(v.Promise, "on the wire: %s", v.Text)
	}
	w.explain()
	r := &Report{Forged: w.forged, Seed: w.seed, Seconds: took.Seconds(), Messages: messages, Faults: make(map[string]int), Detection: make(map[string]Detection)}
	r.Take(told)
	r.Moved = Moved(told, sessions)
	if r.Calls == 0 || answers == 0 && w.form.OnlyKind == "" { // answers to direct calls do not pass the tap
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
	w.measure(r)
	r.Judge(&w.found)
	return r
}

// measure takes from the why-records how far beyond its limit what was measured was, for each verdict that has one.
func (w *world) measure(r *Report) {
	r.Verdicts, r.Beyond = make(map[string]int), make(map[string]Detection)
	beyond := make(map[string][]time.Duration)
	for _, v := range w.Verdicts() {
		r.Verdicts[v.Is]++
		for name, limit := range v.Limits {
			beyond[v.Is+" "+name] = append(beyond[v.Is+" "+name], (v.Values[name] - limit).Duration())
		}
	}
	for name, all := range beyond {
		r.Beyond[name] = NewDetection(all)
	}
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
	if w.python != nil {
		if err := w.python.Finish(); err != nil {
			w.blame("wrong", "the client in Python: %v", err)
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
		if w.python != nil && strings.HasSuffix(file, pythonClient) && len(more) == 0 {
			w.blame("lost", "the client in Python was told nothing")
		}
		told = append(told, more...)
	}
	return told
}

// aftermath is how long after its end a fault explains a verdict: what was on its way.
const aftermath = 2 * time.Second

// explain looks for the fault of each verdict, and for what should have been said of calls that were stuck.
func (w *world) explain() {
	for _, v := range w.Verdicts() {
		explained := v.Client == "forger" || w.stuck[v.Hit] // it leaves without a word; it was stuck on purpose
		for _, f := range w.faults {
			explained = explained || w.explains(f, &v)
		}
		if !explained {
			w.found.Add("false verdict", "%s at %v says %s: %s", v.By, v.At, v.Line(), v.Raw)
		}
	}
	for _, f := range w.faults {
		if f.unheard && !w.troubled(f) {
			w.found.Add("verdict", "%s of hit %s at %v: its broker has said nothing", f.kind, f.part, f.from)
		}
	}
}

// explains reports whether the verdict may come of the fault.
func (w *world) explains(f *fault, v *harness.Verdict) bool {
	to := f.to
	if to == 0 {
		to = v.At
	}
	if v.At < f.from || v.At > to+aftermath {
		return false
	}
	by, of := v.By, v.Broker
	if name, known := w.at[of]; known {
		of = name
	}
	switch {
	case f.part == "links":
		return v.Is == "FROZEN" && !w.form.Busy
	case by == f.part, of == f.part && v.Worker == "" && v.Client == "" && v.Hit == "":
		return true // who judges, or the broker that is judged, is disturbed
	case f.link != "":
		return v.About(f.part) && by == f.link || by == f.part && of == f.link
	case v.Hit != "" && v.Worker == f.part:
		return true
	case v.Is == "STUCK" || v.Is == "HEALTHY":
		return strings.Contains(f.kind, "client") // a body in parts needs its client, too
	}
	return v.About(f.part)
}

// troubled reports whether the host was starved while a hit was stuck, so that the judge may have begun anew.
func (w *world) troubled(f *fault) bool {
	for _, other := range w.faults {
		if other.part == "host" && other.from < f.to && (other.to == 0 || other.to > f.from) {
			return true
		}
	}
	return false
}
