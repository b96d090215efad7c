package machine_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// world is a network of hosts with members, in which time passes only when something happens.
type world struct {
	rng    *rand.Rand
	faults machine.Faults
	now    time.Duration
	queue  queue
	serial uint64
	hosts  []*host
	nodes  []*actor
	lossy  float64 // of messages between hosts
	cut    map[[2]int]bool
	lines  map[line]time.Duration // when the last message on it arrives: lines keep order

	heard map[term]wire.MemberID // who was heard as master of a host's term
	asks  []*inquiry
	// trouble is when a host, a link or a master was last in trouble.
	trouble time.Duration
	sent    int
	kills   int
	steps   int
	broken  []string
	trace   []string
}

type term struct {
	host wire.HostID
	term uint64
}

type line struct{ from, to int }

type happening struct {
	at     time.Duration
	serial uint64
	do     func()
}

type queue []happening

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].serial < q[j].serial
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(happening)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// host is the kernel's view of a machine: locks and processes.
type host struct {
	index int
	id    wire.HostID
	terms map[uint64]*actor // who made the term's file
	top   uint64
	named int
}

// The limits of the simulated members.
const (
	silence = time.Second
	beat    = 100 * time.Millisecond
	window  = 150 * time.Millisecond
	reach   = 3 * time.Second
)

func newWorld(seed uint64, faults machine.Faults) *world {
	return &world{
		rng: rand.New(rand.NewPCG(seed, 1)), faults: faults, cut: make(map[[2]int]bool), lines: make(map[line]time.Duration), heard: make(map[term]wire.MemberID),
	}
}

// wrong notes that a promise is broken.
func (w *world) wrong(format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf("%v: ", w.now)+fmt.Sprintf(format, args...))
}

func (w *world) tell(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%v: ", w.now)+fmt.Sprintf(format, args...))
}

func (w *world) after(d time.Duration, do func()) {
	w.serial++
	heap.Push(&w.queue, happening{w.now + d, w.serial, do})
}

// run lets time pass until a moment, or until something is broken.
func (w *world) run(until time.Duration, enough func() bool) {
	for len(w.queue) > 0 && len(w.broken) == 0 && w.queue[0].at <= until && !enough() {
		next := heap.Pop(&w.queue).(happening)
		w.now = max(w.now, next.at)
		w.steps++
		next.do()
	}
}

func never() bool { return false }

func (w *world) between(from, to time.Duration) time.Duration {
	return from + time.Duration(w.rng.Int64N(int64(to-from)+1))
}

func (w *world) addHost() *host {
	h := &host{index: len(w.hosts), id: wire.HostID(len(w.hosts) + 1), terms: make(map[uint64]*actor)}
	w.hosts = append(w.hosts, h)
	return h
}

// living returns whose locks are held.
func (w *world) living(h *host) []*actor {
	var all []*actor
	for _, a := range w.nodes {
		if a.host == h && a.alive && !a.guest {
			all = append(all, a)
		}
	}
	return all
}

// leader returns who holds the highest term of a host, nil if nobody does.
func (w *world) leader(h *host) *actor {
	if a := h.terms[h.top]; a != nil && a.alive && a.term == h.top {
		return a
	}
	return nil
}

// carry brings something from one actor to another, in order, if nothing is in its way.
func (w *world) carry(from, to *actor, do func()) {
	delay := w.between(100*time.Microsecond, 2*time.Millisecond)
	if from.host != to.host {
		if w.cut[pair(from.host, to.host)] || w.rng.Float64() < w.lossy {
			return
		}
		delay = w.between(time.Millisecond, 20*time.Millisecond)
	}
	l := line{from.index, to.index}
	at := max(w.now+delay, w.lines[l])
	w.lines[l] = at
	w.after(at-w.now, func() { to.happens(do) })
}

func pair(a, b *host) [2]int {
	return [2]int{min(a.index, b.index), max(a.index, b.index)}
}

// heardMaster checks that a term has one master, and that nobody obeys an earlier term than before.
func (w *world) heardMaster(by *actor, h wire.HostID, t uint64, master wire.MemberID) {
	key := term{h, t}
	if was, known := w.heard[key]; known && was != master {
		w.wrong("term %d of host %d has two masters that are heard: %v and %v", t, h, was, master)
	}
	w.heard[key] = master
	if t < by.terms[h] {
		w.wrong("%s obeys term %d of host %d after term %d", by, t, h, by.terms[h])
	}
	by.terms[h] = t
}

// healAll ends all faults.
func (w *world) healAll() {
	w.lossy = 0
	clear(w.cut)
	for _, a := range w.nodes {
		a.resume()
	}
}

// settled reports whether all questions of who still lives are over, and all hosts have a master and agree.
func (w *world) settled() bool {
	for _, q := range w.asks {
		if !q.over && q.by.alive {
			return false
		}
	}
	return w.disagreement() == ""
}

// disagreement says in what the members' views differ from the truth, and so from each other.
func (w *world) disagreement() string {
	truth := make(map[wire.HostID][]wire.MemberID)
	for _, h := range w.hosts {
		for _, a := range w.living(h) {
			truth[h.id] = append(truth[h.id], a.id)
		}
		slices.Sort(truth[h.id])
	}
	for _, a := range w.nodes {
		if !a.alive || truth[a.host.id] == nil {
			continue
		}
		seen := make(map[wire.HostID][]wire.MemberID)
		for _, h := range a.node.View().Hosts {
			if truth[h.Host] == nil {
				continue // nobody is left there to say so
			}
			for _, m := range h.Members {
				if m.Verdict != "" || h.Reach.Verdict != "" {
					return fmt.Sprintf("%s holds a verdict against %s", a, m.Name)
				}
				seen[h.Host] = append(seen[h.Host], m.ID)
			}
			slices.Sort(seen[h.Host])
		}
		for id, want := range truth {
			if !slices.Equal(seen[id], want) {
				return fmt.Sprintf("%s sees %v on host %d, and there are %v", a, seen[id], id, want)
			}
		}
	}
	return ""
}
