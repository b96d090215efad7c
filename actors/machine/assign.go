package machine

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/actors/schedule"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// open gives a hit to the worker that the policy of its service chooses, or lets it wait, or refuses it.
func (b *Broker) open(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	c := b.clients[m.From]
	switch {
	case c == nil || c.left:
		return refuse(fx, m, wire.NotRegistered, "OPEN from a connection whose HELLO was refused, or that has said BYE: say HELLO first")
	case !m.Header.Flags.Has(wire.Ref):
		return refuse(fx, m, wire.BadFlag, "OPEN without the flag ref: put a reference of your own into the hit field and set ref")
	case b.draining:
		return refuse(fx, m, wire.Draining, "the broker takes no new hits, it is about to stop: open at another one, or later")
	}
	var o options
	if len(m.Frame(1)) > 0 {
		var err error
		if o, err = optionsOf(m); err != nil {
			return refuse(fx, m, wire.BadFrame, "%v", err)
		}
	}
	if err := b.mayOpen(c, m.Frame(0)); err != nil {
		return refuse(fx, m, wire.Refused, "%v", err)
	}
	if o.task != nil {
		return b.openTask(now, c, m, o, fx)
	}
	return b.place(now, c, m, o, fx)
}

// place gives a hit that may be opened to a worker, or lets it wait for one, or refuses it.
func (b *Broker) place(now time.Duration, c *client, m *wire.Message, o options, fx []Effect) []Effect {
	s := b.services[string(m.Frame(0))]
	if m.Header.Flags.Has(wire.Direct) {
		if err := checkDirect(m.Header.Flags); err != nil {
			return refuse(fx, m, wire.BadFlag, "%v", err)
		}
		s = b.services[wayKey(m.Frame(0), true)]
	}
	if s == nil || !s.offered {
		return b.openUnknown(now, c, m, o, fx)
	}
	if o.target != nil {
		return b.openFor(now, s, c, m, o, fx)
	}
	return b.openAt(now, s, c, m, o, fx)
}

// openAt gives a hit to a worker of the service, or lets it wait for one.
func (b *Broker) openAt(now time.Duration, s *service, c *client, m *wire.Message, o options, fx []Effect) []Effect {
	if s.queue.n == 0 && !b.shut(s) {
		if w, ok := b.slotFor(s); ok {
			return b.assign(now, s, w, c, m, o, m.Header.Arg, fx)
		}
	}
	if m.Header.Flags.Has(wire.Now) && b.shut(s) {
		return refuse(fx, m, wire.QueueFull, "the service %q gives nothing out, and the OPEN says now: %s: open at another broker, or leave now out and wait", s.name, s.describeShut())
	}
	if m.Header.Flags.Has(wire.Now) {
		return refuse(fx, m, wire.QueueFull, "all %d slots of service %q are busy, and the OPEN says now: open at another broker, or leave it out and wait", b.slots(s), s.name)
	}
	return b.enqueue(now, s, c, m, o, now+b.cfg.MaxWait, fx)
}

// openUnknown lets the first OPENs after a start wait for workers that have yet to register, and refuses later ones.
func (b *Broker) openUnknown(now time.Duration, c *client, m *wire.Message, o options, fx []Effect) []Effect {
	name := m.Frame(0)
	if err := wire.CheckService(name); err != nil {
		return refuse(fx, m, wire.BadFrame, "%v", err)
	}
	isDirect := m.Header.Flags.Has(wire.Direct)
	late := now >= b.cfg.Grace || m.Header.Flags.Has(wire.Now)
	if late && isDirect {
		return refuse(fx, m, wire.UnknownService, "%s", b.noDirect(name))
	}
	if late {
		return refuse(fx, m, wire.UnknownService, "no worker has offered the service %q (%s): start one, or correct the name", name, b.offered())
	}
	s := b.service(wayKey(name, isDirect), string(name))
	if o.target != nil && o.target.Key == "" {
		v, err := b.viewFor(s, o.target)
		if err != nil {
			b.prune(s)
			return refuse(fx, m, wire.BadFrame, "OPEN: target: where: %v", err)
		}
		s = v
	}
	return b.enqueue(now, s, c, m, o, b.cfg.Grace, fx)
}

// offered lists some services in words.
func (b *Broker) offered() string {
	var names []string
	for n, s := range b.services {
		if s.offered && n == s.name {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return "no worker has registered yet"
	}
	if len(names) > 8 {
		return fmt.Sprintf("offered: %s and %d more", strings.Join(names[:8], ", "), len(names)-8)
	}
	return "offered: " + strings.Join(names, ", ")
}

func (b *Broker) service(key, name string) *service {
	s := b.services[key]
	if s == nil {
		s = &service{key: key, name: name, workers: schedule.New[*Worker](b.policy(name), b.cfg.Pick)}
		b.setWants(s)
		b.services[key] = s
	}
	return s
}

// policy says which worker of a service is next.
func (b *Broker) policy(service string) schedule.Name {
	if b.cfg.Policy == nil {
		return schedule.LeastBusy
	}
	return b.cfg.Policy(service)
}

// enqueue lets an OPEN wait for a slot, until the given time at most.
func (b *Broker) enqueue(now time.Duration, s *service, c *client, m *wire.Message, o options, until time.Duration, fx []Effect) []Effect {
	if n := s.waits(); n >= b.cfg.MaxQueue {
		fx = refuse(fx, m, wire.QueueFull, "%d hits wait for one of the %d slots of service %q, the limit is %d (the broker's --max-queue): try again later, or start more workers",
			n, b.slots(s), s.name, b.cfg.MaxQueue)
		b.prune(s)
		return fx
	}
	limit := now + b.cfg.MaxWait
	if arg := m.Header.Arg; arg > 0 {
		limit = min(limit, now+time.Duration(arg)*time.Millisecond)
	}
	b.arrivals++
	b.totals.Queued++
	c.waiting++
	w := &waiter{task: o.kept, topic: o.label, msg: m.Copy(), client: c, service: s, target: o.target, order: b.arrivals, since: now, limit: limit, deadline: min(limit, until), index: -1}
	s.count(w, 1)
	s.queue.push(w)
	if o.kept != nil {
		o.kept.waiter = w
	}
	b.waiting.Fix(w)
	return fx
}

// prolong gives those that waited for somebody to offer the service their whole time.
func (b *Broker) prolong(s *service) {
	s.queue.each(func(w *waiter) {
		w.deadline = w.limit
		b.waiting.Fix(w)
	})
}

func (b *Broker) slots(s *service) int {
	n := 0
	for _, w := range b.workers {
		for _, x := range w.services {
			if x == s {
				n += w.Load.Slots
			}
		}
	}
	return n
}

func (b *Broker) unqueue(w *waiter) {
	w.service.count(w, -1)
	w.service.queue.remove(w)
	b.waiting.Remove(w)
	w.client.waiting--
	b.prune(w.service)
}

// prune forgets a service that nobody has ever offered or waits for.
func (b *Broker) prune(s *service) {
	switch {
	case s.queue.n > 0 || b.services[s.key] != s:
	case s.view != nil && (s.view.single() || !s.offered):
		b.dropView(s)
	case s.view == nil && !s.offered && len(s.views) == 0 && !s.held:
		delete(b.services, s.key)
	}
}

// assign makes the hit. arg is what is left of its deadline in ms, 0 for none.
func (b *Broker) assign(now time.Duration, s *service, w *Worker, c *client, m *wire.Message, o options, arg uint32, fx []Effect) []Effect {
	handle := b.ports.Reserve()
	if handle == 0 {
		w.fix() // it was chosen, so its turn is past
		const full = "the broker holds as many hits as it has handles: close some"
		if o.kept != nil && o.kept.first == nil {
			return b.taskFailed(now, o.kept, wire.QueueFull, full, nil, fx)
		}
		return refuse(fx, m, wire.QueueFull, full)
	}
	h := &Hit{
		Handle: handle, Ref: m.Header.Hit, Client: c.peer, Worker: w.Peer, Attachment: 1, Assignment: b.occupy(w), Opened: now,
		names: w.names[s.name], client: c, worker: w, changes: w.changes,
	}
	if o.label != "" || o.kept != nil {
		h.tag = &tag{label: o.label, task: o.kept}
	}
	if o.kept != nil {
		o.kept.waiter, o.kept.hit = nil, h
	}
	if m.Header.Flags.Has(wire.Direct) {
		token := b.cfg.Token()
		h.direct = &direct{token: token[:]}
	}
	b.keepFor(h, o)
	if o.target == nil || o.target.Key != "" { // others may not go elsewhere
		h.redoFor(now, m, arg)
	}
	b.bind(s, o.target, w)
	h.names.begun++
	b.byHandle[handle] = h
	b.all.add(h)
	c.hits.add(h)
	w.hits.add(h)
	b.totals.Opened++
	return append(fx, Effect{Kind: Spawn, Hit: h, Msg: m, Header: wire.Header{Arg: arg}})
}

// occupy takes a slot of the worker for a hit, and returns the epoch of the assignment.
func (b *Broker) occupy(w *Worker) uint32 {
	w.Load.Used++
	w.Served++
	w.fix()
	b.epoch++
	if b.epoch == 0 {
		b.epoch = 1
	}
	return b.epoch
}

// slotFree gives the worker's free slot to whoever waits longest for one of its services.
func (b *Broker) slotFree(now time.Duration, w *Worker, fx []Effect) []Effect {
	w.Load.Used--
	if w.deaf {
		w.deaf, w.Load.Closed = false, false
	}
	w.resize()
	w.fix()
	return b.serve(now, w, fx)
}

// deaf frees the slot of a hit that the worker could not be told of. If its connection is gone, that is about to be reported; if it does not
// read, it would be the least busy worker for ever and fail every OPEN, so it gets no new hits until it has ended one.
func (b *Broker) deaf(now time.Duration, w *Worker, s wire.Status, fx []Effect) []Effect {
	w.Load.Used--
	if s == wire.WorkerGone || w.hits.n > 0 {
		w.deaf, w.Load.Closed = s != wire.WorkerGone, true
	}
	w.resize()
	w.fix()
	return b.serve(now, w, fx)
}

func (b *Broker) serve(now time.Duration, w *Worker, fx []Effect) []Effect {
	for w.Load.Free() > 0 || w.Load.Room() > 0 {
		if h := b.moves.first(w); h != nil { // it was here before those that wait
			to, _ := b.elsewhere(h)
			fx = b.settle(now, h, to, fx)
			continue
		}
		var next *waiter
		for _, s := range w.services {
			if x := s.queue.peek(); x != nil && !b.shut(s) && (next == nil || x.order < next.order) {
				next = x
			}
		}
		if next == nil {
			return fx
		}
		if b.boundElsewhere(next, w) {
			continue
		}
		to, _ := b.slotFor(next.service) // w has a free slot or makes one, if nobody is less busy
		b.unqueue(next)
		fx = b.assignWaiter(now, next, to, fx)
	}
	return fx
}

func (b *Broker) assignWaiter(now time.Duration, w *waiter, to *Worker, fx []Effect) []Effect {
	o, _ := optionsOf(w.msg) // judged on arrival
	o.kept = w.task
	arg := w.msg.Header.Arg
	if arg > 0 {
		waited := uint32(min((now - w.since).Milliseconds(), math.MaxUint32))
		arg = max(arg, waited+1) - waited
	}
	to.names[w.service.name].waited += now - w.since
	return b.assign(now, w.service, to, w.client, w.msg, o, arg, fx)
}

// Deadline says when Tick wants to be called, 0 for never.
func (b *Broker) Deadline() time.Duration {
	at := sooner(b.nextVerdict(), b.nextJudging())
	if b.waiting.Len() > 0 {
		at = sooner(at, b.waiting.First().deadline)
	}
	if len(b.surveys) > 0 {
		at = sooner(at, b.surveys[0].until)
	}
	if b.adrift.Len() > 0 {
		at = sooner(at, b.adrift.First().keep.until)
	}
	if b.moves.Len() > 0 {
		at = sooner(at, b.moves.First().redo.until)
	}
	at = sooner(at, b.jobAt)
	if b.tasks.done.Len() > 0 {
		at = sooner(at, b.tasks.done.First().until)
	}
	return at
}

// sooner returns the earlier of two times, of which 0 is never.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Tick refuses what has waited too long, gives the verdicts that are due, and gives up what nobody has taken up again.
func (b *Broker) Tick(now time.Duration, fx []Effect) []Effect {
	if len(b.verdicts) > 0 {
		fx = b.overdue(now, fx)
	}
	fx = b.runJudge(now, fx)
	fx = b.giveUp(now, fx)
	fx = b.giveUpMoves(now, fx)
	b.forgetTasks(now)
	if b.jobAt > 0 {
		fx = b.runJobs(now, fx)
	}
	fx = b.giveUpSurveys(now, fx)
	for b.waiting.Len() > 0 && b.waiting.First().deadline <= now {
		w := b.waiting.First()
		b.unqueue(w)
		b.totals.Expired++
		s, text := wire.Expired, fmt.Sprintf("no slot of service %q was free in time: %d slots, %d more hits wait: allow more time, or start more workers",
			w.service.name, b.slots(w.service), w.service.queue.n)
		switch {
		case b.shut(w.service) && w.service.offered:
			text = fmt.Sprintf("the service %q gave nothing out in time: %s, %d more hits wait: allow more time", w.service.name, w.service.describeShut(), w.service.queue.n)
		case w.service.view != nil && w.service.workers.Len() == 0:
			s, text = wire.NoMatch, b.nobodyFor(w.service)
		case w.service.workers.Len() == 0:
			text = fmt.Sprintf("no worker offers the service %q any more, %d more hits wait: start one (`troupe worker list` shows who is there)", w.service.name, w.service.queue.n)
		}
		switch {
		case w.service.offered:
		case w.msg.Header.Flags.Has(wire.Direct):
			s, text = wire.UnknownService, b.noDirect([]byte(w.service.name))
		default:
			s, text = wire.UnknownService, fmt.Sprintf("no worker has offered the service %q (%s): start one, or correct the name", w.service.name, b.offered())
		}
		fx = b.failOpen(now, w, s, text, nil, fx)
	}
	return fx
}
