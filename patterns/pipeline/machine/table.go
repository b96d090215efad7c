// Package machine decides, for pipeline, which worker gets which task next, and which tasks have to be done again. It is pure: time is an argument, and what is to be
// done is returned.
package machine

import "time"

type state uint8

const (
	waiting state = iota
	given
	sent // the worker has sent its result
	got  // the sink has it
	lost // for good
)

type task struct {
	state  state
	worker *worker
	tries  int
	since  time.Duration
	body   any
}

type worker struct {
	id     string
	credit int // tasks it may be given now
	out    int // tasks it was given and has not sent a result of
	listed bool
}

// Table is the tasks of one batch and the workers. Set MaxTries (of a task, whose workers were lost or have said nothing), Lease (how long a worker may have a task; 0: for
// ever) and Confirm (how long a result may be on its way to the sink; 0: for ever) first.
type Table struct {
	MaxTries       int
	Lease, Confirm time.Duration

	base    uint64 // index of tasks[0]; all before are finished
	tasks   []task
	queue   []uint64 // waiting, in order
	again   []uint64 // the same, of those that were given before: first
	workers map[string]*worker
	free    []*worker // with credit, the longest idle first
	open    int       // not finished
	missing []uint64
	redone  int
}

// Give is a task for a worker.
type Give struct {
	Worker string
	Index  uint64
	Body   any
}

// Begin begins a batch: its tasks are numbered from 0. Workers stay.
func (t *Table) Begin() {
	t.base, t.tasks, t.queue, t.again, t.open, t.missing, t.redone = 0, nil, nil, nil, 0, nil, 0
}

// Add adds a task.
func (t *Table) Add(body any) {
	t.queue = append(t.queue, t.base+uint64(len(t.tasks)))
	t.tasks = append(t.tasks, task{body: body})
	t.open++
}

// Ready takes a worker's word that it is there and has room for so many tasks at a time.
func (t *Table) Ready(id string, credit int) {
	if t.workers == nil {
		t.workers = make(map[string]*worker)
	}
	w := t.workers[id]
	if w == nil {
		w = &worker{id: id}
		t.workers[id] = w
	}
	w.credit = max(credit-w.out, 0)
	t.list(w)
}

func (t *Table) list(w *worker) {
	if !w.listed && w.credit > 0 {
		w.listed = true
		t.free = append(t.free, w)
	}
}

// Workers returns how many there are.
func (t *Table) Workers() int { return len(t.workers) }

// Knows reports whether a worker is there.
func (t *Table) Knows(id string) bool { return t.workers[id] != nil }

// find returns a task that is not finished.
func (t *Table) find(index uint64) *task {
	if index < t.base || index-t.base >= uint64(len(t.tasks)) {
		return nil
	}
	if k := &t.tasks[index-t.base]; k.state < got {
		return k
	}
	return nil
}

// Done takes a worker's word that it has sent a result. It has room for another task then.
func (t *Table) Done(now time.Duration, id string, index uint64) {
	w := t.workers[id]
	if w == nil {
		return
	}
	if w.out > 0 {
		w.out--
		w.credit++
		t.list(w)
	}
	if k := t.find(index); k != nil && k.worker == w && k.state == given {
		k.state, k.since = sent, now
	}
}

// Got takes the sink's word that it has a result. It reports false for what is finished already, or was never given out.
func (t *Table) Got(index uint64) bool {
	k := t.find(index)
	if k == nil {
		return false
	}
	t.finish(k, got)
	return true
}

func (t *Table) finish(k *task, s state) {
	k.state, k.body, k.worker = s, nil, nil
	t.open--
	for len(t.tasks) > 0 && t.tasks[0].state >= got {
		t.tasks = t.tasks[1:]
		t.base++
	}
}

// Lost takes in that a worker is gone: what it had is done again by others.
func (t *Table) Lost(id string) {
	w := t.workers[id]
	if w == nil {
		return
	}
	delete(t.workers, id)
	w.credit = 0
	base := t.base
	for i, n := 0, len(t.tasks); i < n; i++ {
		index := base + uint64(i)
		if k := t.find(index); k != nil && k.worker == w && (k.state == given || k.state == sent) {
			t.redo(k, index)
		}
	}
}

// redo gives a task out again, or up.
func (t *Table) redo(k *task, index uint64) {
	k.worker = nil
	if k.tries >= t.MaxTries {
		t.missing = append(t.missing, index)
		t.finish(k, lost)
		return
	}
	t.redone++
	k.state = waiting
	t.again = append(t.again, index)
}

// Next returns the next task to give out, if there is one and a worker for it. Workers have their turns: none gets two while another one with room waits.
func (t *Table) Next(now time.Duration) (g Give, ok bool) {
	w := t.idle()
	if w == nil {
		return g, false
	}
	k, index := t.first()
	if k == nil {
		return g, false
	}
	t.free = t.free[1:]
	w.listed = false
	w.credit--
	w.out++
	t.list(w)
	k.state, k.worker, k.since = given, w, now
	k.tries++
	return Give{w.id, index, k.body}, true
}

func (t *Table) idle() *worker {
	for len(t.free) > 0 {
		if w := t.free[0]; w.credit > 0 && t.workers[w.id] == w {
			return w
		}
		t.free[0].listed = false
		t.free = t.free[1:]
	}
	return nil
}

// first takes the first waiting task from its queue.
func (t *Table) first() (*task, uint64) {
	for _, q := range []*[]uint64{&t.again, &t.queue} {
		for len(*q) > 0 {
			index := (*q)[0]
			*q = (*q)[1:]
			if k := t.find(index); k != nil && k.state == waiting {
				return k, index
			}
		}
	}
	return nil, 0
}

// Tick gives out again what has taken too long. A worker that has a task for too long keeps its credit to itself until it is done.
func (t *Table) Tick(now time.Duration) {
	base := t.base
	for i, n := 0, len(t.tasks); i < n; i++ {
		index := base + uint64(i)
		k := t.find(index)
		if k == nil {
			continue
		}
		if k.state == given && t.Lease > 0 && now-k.since >= t.Lease || k.state == sent && t.Confirm > 0 && now-k.since >= t.Confirm {
			t.redo(k, index)
		}
	}
}

// Open returns how many tasks are not finished, Missing the indexes of those that were given up, and Redone how often one was given out again.
func (t *Table) Open() int { return t.open }

// Missing is described at Open.
func (t *Table) Missing() []uint64 { return t.missing }

// Redone is described at Open.
func (t *Table) Redone() int { return t.redone }
