package machine

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/actors/prio"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// task is a one-shot that is known by an id (hit.md, section 19): it outlives whoever submitted it, and so does its answer for a time. Its hit has no client:
// the answer is the broker's, who tells everybody that asks.
type task struct {
	key     string // of the book: whose it is, and its id
	id      string
	service string
	label   string
	since   time.Duration
	keep    time.Duration // how long the answer is kept
	askers  []asker
	waiter  *waiter // it waits for a slot
	hit     *Hit    // it is at a worker
	done    *wire.Message
	bytes   int
	order   uint64
	until   time.Duration // when the answer is forgotten
	index   int           // in the order of that, -1 when out
	prev    *task         // by order of submission
	next    *task
	first   *wire.Message // while it is being placed: its OPEN, whose sender is told of a refusal
}

// asker is a connection that wants the answer, under a reference of its own.
type asker struct {
	client *client
	ref    uint64
}

// book holds the tasks that are known by their ids.
type book struct {
	byKey  map[string]*task
	done   prio.Queue[*task] // those that are answered, the first to be forgotten first
	keeper client            // has their hits
	bytes  int               // of answers kept
	order  uint64
	last   *task // submitted
}

func newBook() book {
	return book{byKey: make(map[string]*task), keeper: client{name: "(kept)", hits: hits{which: ofClient}}, done: prio.New(func(a, b *task) bool {
		if a.until != b.until {
			return a.until < b.until
		}
		return a.order < b.order
	}, func(t *task) *int { return &t.index })}
}

// taskSettled is what a hit reports that answers a task; taskWorking that it reports progress.
type (
	taskSettled struct {
		Task   *task
		Answer *wire.Message // owning its bytes
	}
	taskWorking struct {
		Task *task
		Msg  *wire.Message
	}
)

// openTask runs a task with an id that is not known, and makes its sender one more asker of a task that is.
func (b *Broker) openTask(now time.Duration, c *client, m *wire.Message, o options, fx []Effect) []Effect {
	f, id := m.Header.Flags, o.task.ID
	switch {
	case !f.Has(wire.First) || !f.Has(wire.Last):
		return refuse(fx, m, wire.BadFlag, "OPEN with a task's id of a hit that stays open: a task is one call, set first and last, or leave the id out")
	case c.asks[m.Header.Hit] != nil:
		return refuse(fx, m, wire.BadFlag, "OPEN with the reference %d, under which this connection asks for a task already: take another one", m.Header.Hit)
	}
	key := c.user + "\x00" + id
	t := b.tasks.byKey[key]
	if t != nil && o.task.Again && t.state() == "failed" {
		b.tasks.drop(t)
		t = nil
	}
	switch {
	case t != nil && t.service != string(m.Frame(0)):
		return refuse(fx, m, wire.BadKey, "task %s is one of service %q: give another task another id", id, t.service)
	case t != nil && t.done != nil:
		b.totals.Again++
		if t.done.Header.Type == wire.Error {
			fx = append(fx, Effect{Kind: Count, Status: t.done.Header.Status})
		}
		return append(fx, t.answer(asker{c, m.Header.Hit}))
	case t != nil:
		b.totals.Again++
		t.ask(c, m.Header.Hit)
		return fx
	case o.task.Attach:
		return refuse(fx, m, wire.UnknownHit, "no task %s is known: it was never submitted here, or its answer was kept long enough, or had to make room (the broker's --max-keep, --keep-memory)", id)
	case len(b.tasks.byKey) >= b.cfg.MaxTasks && !b.tasks.forget(b):
		return refuse(fx, m, wire.QueueFull, "%d tasks with ids are under way, the limit is %d (the broker's --max-tasks): try again later", len(b.tasks.byKey), b.cfg.MaxTasks)
	}
	b.tasks.order++
	t = &task{
		key: key, id: id, service: string(m.Frame(0)), label: o.label, since: now, order: b.tasks.order, index: -1, first: m,
		keep: min(time.Duration(o.task.KeepMS)*time.Millisecond, b.cfg.MaxKeep),
	}
	b.tasks.add(t)
	o.kept = t
	fx = b.place(now, &b.tasks.keeper, m, o, fx)
	t.first = nil
	if t.hit == nil && t.waiter == nil { // it was refused
		b.tasks.remove(t)
		return fx
	}
	t.ask(c, m.Header.Hit)
	return fx
}

// ask makes a connection one of those that want the answer.
func (t *task) ask(c *client, ref uint64) {
	t.askers = append(t.askers, asker{c, ref})
	if c.asks == nil {
		c.asks = make(map[uint64]*task)
	}
	c.asks[ref] = t
}

// answer tells an asker.
func (t *task) answer(a asker) Effect {
	h := t.done.Header
	h.Hit = a.ref
	return Effect{Kind: Forward, To: a.client.peer, Header: h, Msg: t.done}
}

// lostAnswer says that an answer was not kept.
const lostAnswer = "the task was answered, but the answer, of %d bytes, is too large to be kept (the broker's --keep-memory is %d): its submitter was told when it came"

// settleTask takes the answer of a task: everybody who asks is told, and whoever asks later.
func (b *Broker) settleTask(now time.Duration, t *task, answer *wire.Message, fx []Effect) []Effect {
	if t.done != nil {
		return fx
	}
	t.done, t.waiter, t.hit = answer, nil, nil
	b.totals.Tasks++
	if answer.Header.Type == wire.Error {
		fx = append(fx, Effect{Kind: Count, Status: answer.Header.Status})
	}
	for _, a := range t.askers {
		fx = append(fx, t.answer(a))
		delete(a.client.asks, a.ref)
	}
	t.askers = nil
	if t.keep <= 0 {
		b.tasks.remove(t)
		return fx
	}
	t.bytes = answer.Size
	if t.bytes > b.cfg.KeepMemory {
		head := answer.Header
		head.Type, head.Status, head.Arg = wire.Error, wire.LostReply, uint32(wire.ReplyLost)
		t.done = wire.NewMessage(head, fmt.Appendf(nil, lostAnswer, t.bytes, b.cfg.KeepMemory))
		t.bytes = t.done.Size
	}
	t.until = now + t.keep
	b.tasks.bytes += t.bytes
	b.tasks.done.Fix(t)
	for b.tasks.bytes > b.cfg.KeepMemory && b.tasks.forget(b) {
	}
	return fx
}

// forget gives up the answer that would be forgotten first. It reports whether there was one.
func (k *book) forget(b *Broker) bool {
	if k.done.Len() == 0 {
		return false
	}
	k.drop(k.done.First())
	b.totals.Forgotten++
	return true
}

// drop takes one that is answered out.
func (k *book) drop(t *task) {
	k.done.Remove(t)
	k.bytes -= t.bytes
	k.remove(t)
}

// forgetTasks gives up the answers whose time is over.
func (b *Broker) forgetTasks(now time.Duration) {
	for b.tasks.done.Len() > 0 && b.tasks.done.First().until <= now {
		b.tasks.forget(b)
	}
}

// taskFailed settles a task that came to nothing before it had a hit.
func (b *Broker) taskFailed(now time.Duration, t *task, s wire.Status, text string, why []byte, fx []Effect) []Effect {
	head := wire.Header{Type: wire.Error, Flags: wire.Ref | wire.Last, Status: s, Seq: 0, Arg: uint32(wire.NeverStarted)}
	frames := [][]byte{[]byte(text)}
	if why != nil {
		frames = append(frames, why)
	}
	return b.settleTask(now, t, wire.NewMessage(head, frames...), fx)
}

// report tells the broker the answer of the task that the hit serves. Only the first counts.
func (h *Hit) report(head wire.Header, body [][]byte, fx []Effect) []Effect {
	t := h.task()
	if t == nil || h.tag.told {
		return fx
	}
	h.tag.told = true
	frames := make([][]byte, 0, len(body))
	for _, f := range body {
		frames = append(frames, append([]byte{}, f...))
	}
	head.Flags = wire.Ref | wire.Last
	return append(fx, Effect{Kind: Report, Event: &taskSettled{t, wire.NewMessage(head, frames...)}})
}

// taskWorks passes a report of progress on to all who ask.
func (b *Broker) taskWorks(e *taskWorking, fx []Effect) []Effect {
	for _, a := range e.Task.askers {
		h := wire.Header{Type: wire.Working, Flags: wire.Ref, Hit: a.ref, Seq: 1, Arg: e.Msg.Header.Arg}
		fx = append(fx, Effect{Kind: Forward, To: a.client.peer, Header: h, Msg: e.Msg})
	}
	return fx
}

// cancelTask ends a task for everybody who asks: one that waits is taken out, the thread of one that runs is told.
func (b *Broker) cancelTask(now time.Duration, t *task, by string, fx []Effect) []Effect {
	switch {
	case t.waiter != nil:
		w := t.waiter
		b.unqueue(w)
		return b.failOpen(now, w, wire.Cancelled, "the task was cancelled by "+by+" while it waited for a slot: submit it again if that was not meant", nil, fx)
	case t.hit != nil:
		return append(fx, Effect{Kind: Tell, Hit: t.hit, Event: &Lost{Final: true, Why: Why{Verdict: "CANCELLED", Detector: "said", Measured: "cancelled by " + by}}})
	}
	return fx
}

// unask takes a connection that is gone out of all that it has asked for. The tasks go on.
func (c *client) unask() {
	for ref, t := range c.asks {
		for i, a := range t.askers {
			if a.client == c && a.ref == ref {
				t.askers = append(t.askers[:i], t.askers[i+1:]...)
				break
			}
		}
	}
	c.asks = nil
}

// state says where a task stands.
func (t *task) state() string {
	switch {
	case t.done != nil && t.done.Header.Type == wire.Error:
		return "failed"
	case t.done != nil:
		return "done"
	case t.waiter != nil:
		return "queued"
	}
	return "running"
}
