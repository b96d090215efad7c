package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/harness"
)

// How soon silence is noticed. Load clients wait longer than anybody else: what they are told of a direct hit is the broker's word.
const (
	heartbeat = 250 * time.Millisecond
	loadWaits = 20 * time.Second
)

// form says how large a run is.
type form struct {
	Duration     time.Duration
	Silence      time.Duration // after which a peer is given up
	Stuck        time.Duration // after which a call without a sign is
	Go, Python   int           // worker processes
	Clients      int           // client processes
	Visitors     int           // of the two clients in this process, each
	Pause        time.Duration
	Least        int           // of each kind of fault
	Still        bool          // no faults
	Busy         bool          // all cores are kept busy by others, all the time
	Binary       string        // test binary that plays brokers and workers; empty: this one
	OnlyWorkers  string        // the one kind of fault to workers, and no other faults; empty: all
	OnlyKind     string        // the one kind of hits that visitors open; empty: all
	Forgers      int           // 1: calls are forged although there are no faults
	Patience     time.Duration // of callers
	CallsAtLeast uint64        // go on until there were so many, however long that takes
}

// limits are heartbeat and silence of all parts, 0 for the defaults.
func (f form) limits() (beat, waits time.Duration) {
	if f.Busy {
		return 0, 0
	}
	return heartbeat, f.Silence
}

// world is the system under test.
type world struct {
	*harness.Timeline
	t        *testing.T
	form     form
	seed     uint64
	dir      string
	journal  string
	brokers  []*broker
	workers  []*part
	clients  []*part
	calm     *broker          // has no faults, but those of its worker's threads
	patients *harness.Process // its worker
	python   *harness.Process // a client in Python; nil: there is none
	tap      *Tap
	ledger   *Ledger
	crowds   []*Crowd
	mine     []*assigner.Client

	at map[string]string // the broker behind a link's endpoint

	mu      sync.Mutex
	faults  []*fault
	stuck   map[string]bool // hits that were stuck on purpose
	cut     []string        // prefixes of keys of clients that were killed
	ledgers []string        // files of client processes
	found   Violations
	forged  int  // calls under an epoch that was over
	gone    bool // the end has begun: what ends now is no fault
}

// broker is a broker process, and a client that looks at it without a link on the way.
type broker struct {
	name             string
	clients, workers string
	proc             *harness.Process
	look             *assigner.Client
	w                *world

	mu        sync.Mutex
	disturbed bool
	last      time.Duration // when a disturbance began last
	until     time.Duration // when the last one ended
}

// part is a worker or client process, and its links to the brokers, by their names.
type part struct {
	name   string
	lang   string
	proc   *harness.Process
	links  map[string]*harness.Link
	start  func() *harness.Process
	killed int
}

func newWorld(t *testing.T, f form, seed uint64) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{
		Timeline: harness.TimelineOf(t), t: t, form: f, seed: seed, dir: dir, journal: filepath.Join(dir, "journal"), tap: &Tap{}, ledger: &Ledger{},
		at: make(map[string]string), stuck: make(map[string]bool),
	}
	for _, name := range []string{"A", "B", "calm"} {
		b := &broker{name: name, clients: harness.Endpoint(t, "tcp"), workers: harness.Endpoint(t, "tcp"), w: w}
		w.at[b.clients], w.at[b.workers] = name, name
		b.start()
		beat, waits := f.limits()
		var err error
		b.look, err = assigner.Dial(harness.Context(t), assigner.ClientConfig{
			Broker: b.clients, Name: "look", Heartbeat: beat, Silence: waits, Logger: harness.Logger(t, "look"),
		})
		require.NoError(t, err)
		t.Cleanup(func() { _ = b.look.Close(context.Background()) })
		if name == "calm" {
			w.calm = b
		} else {
			w.brokers = append(w.brokers, b)
		}
	}
	w.patients = harness.Spawn(t, "patients", f.Binary, "worker", workerConfig{[]string{w.calm.workers}, "patients", 8, w.journal, heartbeat, f.Silence})
	for i := range f.Go {
		w.addWorker(fmt.Sprint("go", i), "go", 24)
	}
	for i := range f.Python {
		w.addWorker(fmt.Sprint("py", i), "python", 12)
	}
	for i := range f.Clients {
		w.addClient(fmt.Sprint("c", i), uint64(i))
	}
	if f.Python > 0 {
		w.addPython(pythonClient)
	}
	return w
}

func (b *broker) start() {
	beat, waits := b.w.form.limits()
	cfg := assigner.BrokerConfig{
		Clients: []string{b.clients}, Workers: []string{b.workers}, Name: b.name, Heartbeat: beat, Silence: waits, Poison: true, Grace: harness.Patience, Stuck: b.w.form.Stuck,
	}
	b.proc = harness.Spawn(b.w.t, b.name, b.w.form.Binary, "broker", cfg)
	b.proc.Await("started")
}

// links makes a link to each broker.
func (w *world) links(name string, endpoint func(*broker) string, watch bool) (map[string]*harness.Link, []string) {
	links := make(map[string]*harness.Link)
	var endpoints []string
	for _, b := range w.brokers {
		l := harness.NewLink(w.t, name+"-"+b.name, endpoint(b))
		if watch {
			l.Watch(w.tap.Watch)
		}
		links[b.name] = l
		w.at[l.Endpoint] = b.name
		endpoints = append(endpoints, l.Endpoint)
	}
	return links, endpoints
}

func (w *world) addWorker(name, lang string, slots int) {
	links, endpoints := w.links(name, func(b *broker) string { return b.workers }, false)
	beat, waits := w.form.limits()
	cfg := workerConfig{endpoints, name, slots, w.journal, beat, waits}
	p := &part{name: name, lang: lang, links: links}
	p.start = func() *harness.Process {
		if lang == "go" {
			return harness.Spawn(w.t, name, w.form.Binary, "worker", cfg)
		}
		text, err := json.Marshal(cfg)
		require.NoError(w.t, err)
		return w.runPython(name, "testdata/worker.py", text)
	}
	p.proc = p.start()
	w.workers = append(w.workers, p)
}

// python is PYTHON's interpreter, or Debian's.
func python() string {
	if name := os.Getenv("PYTHON"); name != "" {
		return name
	}
	return "/usr/bin/python3"
}

func (w *world) addClient(name string, number uint64) {
	links, endpoints := w.links(name, func(b *broker) string { return b.clients }, true)
	p := &part{name: name, links: links}
	p.start = func() *harness.Process {
		file := filepath.Join(w.dir, fmt.Sprintf("ledger-%s-%d", name, p.killed))
		w.mu.Lock()
		w.ledgers = append(w.ledgers, file)
		w.mu.Unlock()
		beat, waits := w.form.limits()
		load := Load{Name: name, Visitors: 3, Patience: w.form.Patience, Pause: w.form.Pause, Stream: 200_000, Seed: w.seed + 1000*number + uint64(p.killed)}
		return harness.Spawn(w.t, name, "", "client", clientConfig{endpoints, load, file, beat, waits})
	}
	p.proc = p.start()
	w.clients = append(w.clients, p)
}

// pythonClient is the name of the client in Python.
const pythonClient = "pyclient"

// addPython adds a client process in Python. It has no faults of its own: brokers, workers and links have.
func (w *world) addPython(name string) {
	_, endpoints := w.links(name, func(b *broker) string { return b.clients }, true)
	file := filepath.Join(w.dir, "ledger-"+name)
	w.ledgers = append(w.ledgers, file)
	text, err := json.Marshal(map[string]any{
		"Brokers": endpoints, "Name": name, "Ledger": file, "Visitors": 3, "Patience": w.form.Patience.Seconds(), "Pause": w.form.Pause.Seconds(),
	})
	require.NoError(w.t, err)
	w.python = w.runPython(name, "testdata/client.py", text)
}

// runPython starts one of the programs in Python.
func (w *world) runPython(name, program string, config []byte) *harness.Process {
	cmd := exec.Command(python(), "-B", program, string(config))
	cmd.Env = append(os.Environ(), "PYTHONPATH=../../examples/python")
	return harness.Start(w.t, name, cmd)
}

// load starts the clients in this process. What it returns waits for their end, once ctx is over.
func (w *world) load(ctx context.Context) (wait func()) {
	var all sync.WaitGroup
	for i := range 2 {
		_, endpoints := w.links(fmt.Sprint("mine", i), func(b *broker) string { return b.clients }, true)
		beat, waits := w.form.limits()
		if !w.form.Busy {
			waits = loadWaits
		}
		c, err := assigner.Dial(harness.Context(w.t), assigner.ClientConfig{
			Brokers: refs(endpoints), Name: fmt.Sprint("mine", i), Heartbeat: beat, Silence: waits, Logger: harness.Logger(w.t, fmt.Sprint("mine", i)),
		})
		require.NoError(w.t, err)
		w.mine = append(w.mine, c)
		w.t.Cleanup(func() { _ = c.Close(context.Background()) })
		crowd := NewCrowd(Load{
			Name: fmt.Sprint("mine", i), Only: w.form.OnlyKind, Visitors: w.form.Visitors, Patience: w.form.Patience, Pause: w.form.Pause, Stream: 500_000, Seed: w.seed + uint64(i), Brisk: w.form.Busy,
		}, c, w.ledger)
		w.crowds = append(w.crowds, crowd)
		all.Go(func() { crowd.Run(ctx) })
	}
	return all.Wait
}

// blame adds a violation. It is safe for concurrent use.
func (w *world) blame(promise, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found.Add(promise, format, args...)
	w.Note(harness.Outcome, promise, format, args...)
}

// admin asks a broker; an error where it does not answer.
func (b *broker) admin(ctx context.Context, cmd string, into any) error {
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	raw, err := b.look.Admin(short, machine.AdminRequest{Cmd: cmd})
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// knows reports whether the broker has this process registered as the worker.
func (b *broker) knows(ctx context.Context, p *part) bool {
	var list struct {
		Workers []machine.WorkerRow `json:"workers"`
	}
	if err := b.admin(ctx, "worker.list", &list); err != nil {
		return false
	}
	for _, row := range list.Workers {
		if row.Name == p.name && row.PID == p.proc.PID() {
			return true
		}
	}
	return false
}

// anchorOf returns the label of the client's anchor at the broker, empty if there is none.
func (b *broker) anchorOf(ctx context.Context, p *part) (string, error) {
	var list struct {
		Hits []machine.HitRow `json:"hits"`
	}
	if err := b.admin(ctx, "hit.list", &list); err != nil {
		return "", err
	}
	prefix := fmt.Sprintf("anchor-%s-%d-", p.name, p.proc.PID())
	for _, row := range list.Hits {
		if strings.HasPrefix(row.Label, prefix) {
			return row.Label, nil
		}
	}
	return "", nil
}

// disturb marks the beginning and the end of a fault of the broker itself.
func (b *broker) disturb(begins bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.disturbed = begins
	if begins {
		b.last = b.w.Now()
	} else {
		b.until = b.w.Now()
	}
}

// well reports whether the broker has been well since a time.
func (b *broker) well(since time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.disturbed && b.last < since
}

// quiet waits until nothing is open at any broker.
func (w *world) quiet(ctx context.Context) error {
	for _, b := range append(w.brokers, w.calm) {
		var s machine.StatusReport
		ok := poll(ctx, func() bool {
			if b.admin(ctx, "status", &s) != nil {
				return false
			}
			used := 0
			for _, row := range s.Services {
				used += row.Used + row.Waiting
			}
			return s.Hits == 0 && used == 0
		})
		if !ok {
			return fmt.Errorf("broker %s has hits open, or opens waiting, when all clients have left: %+v", b.name, s)
		}
	}
	return nil
}

// poll looks until cond holds or ctx ends.
func poll(ctx context.Context, cond func() bool) bool {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !cond() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
