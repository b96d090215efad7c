package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/pool"
	"github.com/troupe-mq/troupe/test/harness"
)

const (
	poolReportVar = "CHAOS_POOL_REPORT"
	poolSilence   = 600 * time.Millisecond
	poolLeast     = 4 // members at least, when a fault begins: a stopped master can be voted out
	poolMost      = 7
	// Questions take so long at each member that faults come in the middle of them.
	thinking = 60 * time.Millisecond
)

// poolMember is a process in a pool. It says when it is asked.
func poolMember(ctx context.Context, s *harness.Stage) error {
	var cfg pool.Config
	if err := s.Config(&cfg); err != nil {
		return err
	}
	cfg.Handler = func(ctx context.Context, q *pool.Query) ([]byte, error) {
		s.Say("asked %s", q.ID())
		q.Send([]byte("I am "))
		select {
		case <-time.After(thinking):
			return []byte(cfg.Name), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	m, err := pool.Join(ctx, cfg)
	if err != nil {
		return err
	}
	s.Say("joined %s", m.ID())
	<-ctx.Done()
	return m.Close(context.WithoutCancel(ctx))
}

// poolReport is what a run has found, as chaos-pool.json has it.
type poolReport struct {
	Seed      uint64         `json:"seed"`
	Seconds   float64        `json:"seconds"`
	Questions int            `json:"questions"`
	Entries   map[string]int `json:"entries"` // of all ledgers, by state and verdict
	Faults    map[string]int `json:"faults"`
	Terms     uint64         `json:"terms"` // the last one's number
}

// poolWorld is a pool whose members come and go, and a guest who asks.
type poolWorld struct {
	t       *testing.T
	chance  *rand.Rand
	dir     string
	binary  string
	members map[int]*poolPart // by pid: those that live
	all     map[int]*poolPart // by pid: all that were started
	far     []*poolPart       // on another host, behind the cable
	listen  string            // of that host
	cable   *harness.Link
	guest   *pool.Member
	report  poolReport
}

type poolPart struct {
	*harness.Process
	id   string
	over chan struct{}

	mu    sync.Mutex
	asked map[string]int
}

// TestPoolChaos lets the members of a pool be killed, frozen, stopped as master, leave and join while everybody is asked. Each question ends; its ledger is compared with the
// processes that were started; nobody is asked twice, and who has had no fault answers. Its length is CHAOS_DURATION's.
func TestPoolChaos(t *testing.T) {
	d := 6 * time.Second
	if text := os.Getenv(durationVar); text != "" {
		var err error
		d, err = time.ParseDuration(text)
		require.NoError(t, err, durationVar)
	}
	w := newPoolWorld(t, harness.Seed(t))
	began := time.Now()
	for round := 0; round == 0 || time.Since(began) < d; round++ {
		kinds := slices.Sorted(maps.Keys(poolFaults))
		w.chance.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		for _, kind := range kinds { // all of them, so that each has happened as often
			w.round(kind)
		}
	}
	w.report.Seconds = time.Since(began).Seconds()
	t.Logf("%s=%d: %d questions, faults %v, entries %v, %d terms", harness.SeedVar, w.report.Seed, w.report.Questions, w.report.Faults, w.report.Entries, w.report.Terms)
	if name := os.Getenv(poolReportVar); name != "" {
		text, err := json.MarshalIndent(w.report, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, append(text, '\n'), 0o600))
	}
}

func newPoolWorld(t *testing.T, seed uint64) *poolWorld {
	dir, err := os.MkdirTemp("/tmp", "pool") //nolint:usetesting // t.TempDir's path may be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &poolWorld{
		t: t, chance: harness.Chance(seed, 1), dir: dir, members: make(map[int]*poolPart), all: make(map[int]*poolPart),
		report: poolReport{Seed: seed, Entries: make(map[string]int), Faults: make(map[string]int)},
	}
	w.listen = strings.TrimPrefix(harness.Endpoint(t, "tcp"), "tcp://")
	w.cable = harness.NewLink(t, "cable", "tcp://"+w.listen)
	for range 2 {
		w.far = append(w.far, w.joinFar())
	}
	for range poolLeast {
		w.join()
	}
	cfg := w.config("guest")
	cfg.Silence = 5 * poolSilence // on a busy machine the members may abstain for a while before they agree about their master
	w.guest, err = pool.Dial(harness.Context(t), cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		require.NoError(t, w.guest.Close(ctx))
	})
	return w
}

func (w *poolWorld) config(name string) pool.Config {
	return pool.Config{Pool: "chaos", Name: name, RunDir: w.dir, HostName: "here", Silence: poolSilence, Logger: slog.New(slog.DiscardHandler)}
}

// join starts a member of this host, whose masters connect to the other one.
func (w *poolWorld) join() *poolPart {
	cfg := w.config("m" + strconv.Itoa(len(w.all)))
	cfg.Peers = []string{strings.TrimPrefix(w.cable.Endpoint, "tcp://")}
	p := w.spawn(cfg)
	w.members[p.PID()] = p
	return p
}

// joinFar starts a member of the other host.
func (w *poolWorld) joinFar() *poolPart {
	cfg := w.config("far" + strconv.Itoa(len(w.all)))
	cfg.HostName, cfg.RunDir, cfg.Listen = "there", w.dir+"/there", w.listen
	return w.spawn(cfg)
}

func (w *poolWorld) spawn(cfg pool.Config) *poolPart {
	cfg.Logger = nil
	p := &poolPart{Process: harness.Spawn(w.t, cfg.Name, w.binary, "pool-member", cfg), over: make(chan struct{}), asked: make(map[string]int)}
	p.id = p.Await("joined ")
	go p.listen()
	w.t.Cleanup(func() { p.Kill(); <-p.over })
	w.all[p.PID()] = p
	return p
}

// listen counts what the member was asked.
func (p *poolPart) listen() {
	defer close(p.over)
	for {
		line, err := p.Line(context.Background())
		if err != nil {
			return
		}
		if q, ok := strings.CutPrefix(line, "asked "); ok {
			p.mu.Lock()
			p.asked[q]++
			p.mu.Unlock()
		}
	}
}

// settle waits until the guest sees the living, and holds nothing against them.
func (w *poolWorld) settle() {
	w.t.Helper()
	most := len(w.members) + len(w.far)
	harness.Until(w.t, fmt.Sprintf("the guest sees %d members", most), func() bool {
		s, err := w.guest.Status(harness.Context(w.t))
		require.NoError(w.t, err)
		w.report.Terms = s.Term
		well := 0
		for _, h := range s.View.Hosts {
			for _, m := range h.Members {
				if (w.members[m.PID] != nil || slices.Contains(w.far, w.all[m.PID])) && m.Verdict == "" && h.Reach.Verdict == "" {
					well++
				}
			}
		}
		return well == most && w.master() != nil
	})
}

// master is the host's, nil where the guest follows none that lives.
func (w *poolWorld) master() *poolPart {
	s, err := w.guest.Status(harness.Context(w.t))
	require.NoError(w.t, err)
	for _, p := range w.members {
		if p.id == s.Master.String() {
			return p
		}
	}
	return nil
}

// simple is a member that is not the master.
func (w *poolWorld) simple() *poolPart {
	master := w.master()
	var others []*poolPart
	for _, pid := range slices.Sorted(maps.Keys(w.members)) {
		if p := w.members[pid]; p != master {
			others = append(others, p)
		}
	}
	return others[w.chance.IntN(len(others))]
}

// poolFaults are what may happen in the middle of a question: each says whom it concerns, how that one may be in the ledger, and what has to be done behind it.
var poolFaults = map[string]func(w *poolWorld) (victim *poolPart, may []string, after func()){
	"kill member": func(w *poolWorld) (*poolPart, []string, func()) {
		p := w.simple()
		p.Kill()
		return p, []string{"answered", "lost GONE"}, w.lost(p)
	},
	"kill master": func(w *poolWorld) (*poolPart, []string, func()) {
		p := w.master()
		p.Kill()
		return p, []string{"answered", "lost GONE"}, w.lost(p)
	},
	"freeze member": func(w *poolWorld) (*poolPart, []string, func()) {
		p := w.simple()
		p.Freeze()
		return p, []string{"answered", "lost FROZEN"}, p.Thaw
	},
	"stop master": func(w *poolWorld) (*poolPart, []string, func()) {
		p := w.master()
		p.Freeze()
		return p, []string{"answered", "lost KILLED", "lost GONE"}, func() {
			harness.Receive(w.t, p.Done(), "the stopped master to be killed")
			delete(w.members, p.PID())
		}
	},
	"leave": func(w *poolWorld) (*poolPart, []string, func()) {
		p := w.simple()
		p.CloseInput()
		return p, []string{"answered", "left", "failed"}, func() {
			harness.Receive(w.t, p.Done(), "the member to leave")
			delete(w.members, p.PID())
		}
	},
	"cut": func(w *poolWorld) (*poolPart, []string, func()) {
		w.cable.Silence()
		return w.far[0], []string{"answered", "lost FROZEN"}, w.cable.Heal
	},
	"join": func(w *poolWorld) (*poolPart, []string, func()) {
		return w.join(), []string{"answered", "late", ""}, func() {}
	},
}

func (w *poolWorld) lost(p *poolPart) func() {
	return func() { delete(w.members, p.PID()) }
}

// round asks everybody, lets something happen in the middle, and judges the ledger.
func (w *poolWorld) round(kind string) {
	w.t.Helper()
	for len(w.members) < poolLeast {
		w.join()
	}
	if len(w.members) >= poolMost {
		p := w.simple()
		p.Kill()
		delete(w.members, p.PID())
	}
	w.settle()
	living := maps.Clone(w.members)
	q := w.guest.Ask(harness.Context(w.t), []byte(kind), pool.Options{})
	w.report.Questions++
	w.report.Faults[kind]++
	victim, may, after := poolFaults[kind](w)
	answers, book, err := q.Collect()
	require.NoError(w.t, err, "%s: %+v", kind, book)
	require.True(w.t, book.Complete)
	after()
	states := make(map[int]string)
	for _, e := range book.Entries {
		state := strings.TrimSpace(e.State + " " + e.Verdict)
		w.report.Entries[state]++
		require.NotNil(w.t, w.all[e.PID], "%s: %s is nobody that was started", kind, e.Name)
		require.NotContains(w.t, states, e.PID, "%s: %s is in the ledger twice", kind, e.Name)
		states[e.PID] = state
	}
	for pid, p := range living {
		want := []string{"answered"}
		if p == victim {
			want = may
		}
		require.Contains(w.t, want, states[pid], "%s of %s: what became of %s: %+v", kind, victim.Name(), p.Name(), book.Entries)
		if states[pid] == "answered" {
			require.Equal(w.t, "I am "+p.Name(), string(answers[p.id]))
		}
	}
	for _, p := range w.far {
		want := []string{"answered"}
		if kind == "cut" || strings.HasSuffix(kind, "master") { // on a busy machine the next master may come too late for it
			want = append(want, "lost FROZEN")
		}
		require.Contains(w.t, want, states[p.PID()], "%s: what became of %s: %+v", kind, p.Name(), book.Entries)
	}
	if living[victim.PID()] == nil && !slices.Contains(w.far, victim) {
		require.Contains(w.t, may, states[victim.PID()], kind)
	}
	for _, p := range w.all {
		p.mu.Lock()
		for id, n := range p.asked {
			require.Equal(w.t, 1, n, "%s was asked %s %d times", p.Name(), id, n)
		}
		p.mu.Unlock()
	}
}
