package machine

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// QueueRow is one queue in a listing: of a service, or of a target of it.
type QueueRow struct {
	Service  string         `json:"service"`
	For      string         `json:"for,omitempty"` // the target; empty: any worker
	Route    string         `json:"route"`         // routed or direct
	Waiting  int            `json:"waiting"`
	OldestMS int64          `json:"oldest_ms"` // how long the first one has waited
	Workers  int            `json:"workers"`   // that may have what waits
	Held     bool           `json:"held,omitempty"`
	Wants    int            `json:"wants_workers,omitempty"` // how many there are to be before anything is given out
	Topics   map[string]int `json:"topics,omitempty"`        // how many of each, as far as they have one; at most 100
}

// ItemRow is one OPEN that waits.
type ItemRow struct {
	ID      string `json:"id"`
	Service string `json:"service"`
	For     string `json:"for,omitempty"`
	Topic   string `json:"topic,omitempty"` // its label
	Task    string `json:"task,omitempty"`  // its id, if it is a task with one
	Client  string `json:"client"`
	Key     string `json:"key,omitempty"`
	Bytes   int    `json:"bytes"`
	AgeMS   int64  `json:"age_ms"`
	LeftMS  int64  `json:"left_ms"` // how long it may wait yet
}

// Audit is the effect of an operator's action, to be logged.
type Audit struct {
	By, Action, Service string
	Count               int
	Detail              string
}

// Bounds of what one turn does.
const (
	maxTopics = 100
	maxLooked = 20_000 // OPENs that one page looks at
	jobSlice  = 250    // OPENs that a job takes out in one turn
	drySlice  = 5_000  // OPENs that a job counts in one turn
)

// queues returns the records with this name, that of all workers first.
func (b *Broker) queues(name string) []*service {
	var all []*service
	for _, key := range []string{name, wayKey([]byte(name), true)} {
		if s := b.services[key]; s != nil {
			all = append(append(all, s), s.views...)
		}
	}
	return all
}

// holder returns the record whose settings count for this one.
func (s *service) holder() *service {
	if s.view != nil {
		return s.view.base
	}
	return s
}

// shut reports whether the service gives nothing out at present: an operator holds it, or it has fewer workers than it is to have.
func (b *Broker) shut(s *service) bool {
	s = s.holder()
	return s.held || s.wants > 0 && s.workers.Len() < s.wants
}

// count keeps what is known of those that wait: how many in the views of a record, and how many of each topic.
func (s *service) count(w *waiter, n int) {
	base := s.holder()
	if s.view != nil {
		base.elsewhere += n
	}
	if w.topic == "" {
		return
	}
	if s.topics == nil {
		s.topics = make(map[string]int)
	}
	if s.topics[w.topic] += n; s.topics[w.topic] == 0 {
		delete(s.topics, w.topic)
	}
}

func (s *service) target() string {
	if s.view == nil {
		return ""
	}
	return s.view.text
}

// listQueues lists queues, the longest first.
func (b *Broker) listQueues(now time.Duration, r AdminRequest) any {
	rows := []QueueRow{}
	for _, s := range b.services {
		if s.queue.n == 0 && (s.view != nil || !s.held && s.workers.Len() == 0 || r.Service == "" && !s.held) || r.Service != "" && s.name != r.Service {
			continue
		}
		row := QueueRow{Service: s.name, For: s.target(), Route: "routed", Waiting: s.queue.n, Workers: s.workers.Len(), Held: s.holder().held, Topics: s.topics}
		if base := s.holder(); base.wants > base.workers.Len() {
			row.Wants = base.wants
		}
		if s.holder().key != s.name {
			row.Route = "direct"
		}
		if w := s.queue.peek(); w != nil {
			row.OldestMS = (now - w.since).Milliseconds()
		}
		if len(s.topics) > maxTopics {
			row.Topics = topOf(s.topics)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(x, y QueueRow) int {
		return cmp.Or(y.Waiting-x.Waiting, strings.Compare(x.Service, y.Service), strings.Compare(x.For, y.For), strings.Compare(x.Route, y.Route))
	})
	return map[string]any{"queues": rows}
}

// topOf keeps the topics that most wait with.
func topOf(all map[string]int) map[string]int {
	type topic struct {
		name string
		n    int
	}
	list := make([]topic, 0, len(all))
	for name, n := range all {
		list = append(list, topic{name, n})
	}
	slices.SortFunc(list, func(x, y topic) int { return cmp.Or(y.n-x.n, strings.Compare(x.name, y.name)) })
	top := make(map[string]int, maxTopics)
	for _, t := range list[:maxTopics] {
		top[t.name] = t.n
	}
	return top
}

// chosen is what a command on queues is about.
type chosen struct {
	queues []*service
	topic  string
	since  time.Duration // those that have come before; 0: all
	bound  uint64        // those that have come up to then, in orders
}

// choose reads what a command is about. The error is what is wrong with it.
func (b *Broker) choose(now time.Duration, r AdminRequest) (chosen, map[string]string) {
	c := chosen{topic: r.Topic, bound: b.arrivals}
	switch {
	case r.OlderMS < 0:
		return c, fail("older_ms is %d: an age is not negative", r.OlderMS)
	case r.Service == "":
		return c, fail("service is empty: name the service whose queue is meant")
	}
	for _, s := range b.queues(r.Service) {
		if r.For == "" || s.target() == r.For {
			c.queues = append(c.queues, s)
		}
	}
	switch {
	case len(b.queues(r.Service)) == 0:
		return c, fail("no worker has offered the service %.140q, and nobody waits for it (%s)", r.Service, b.offered())
	case len(c.queues) == 0:
		return c, fail("nobody waits for %s of the service %q: see `troupe queue list`", r.For, r.Service)
	}
	if r.OlderMS > 0 {
		c.since = max(now-time.Duration(r.OlderMS)*time.Millisecond, 1)
	}
	return c, nil
}

func (c *chosen) has(w *waiter) bool {
	return (c.topic == "" || w.topic == c.topic) && (c.since == 0 || w.since < c.since) && w.order <= c.bound
}

// showQueue lists a page of what waits, queue by queue, in order.
func (b *Broker) showQueue(now time.Duration, r AdminRequest) any {
	c, wrong := b.choose(now, r)
	if wrong != nil {
		return wrong
	}
	after, err := strconv.ParseUint(cmp.Or(r.After, "0"), 16, 64)
	if err != nil {
		return fail("after: %.100q is no id: take it from the page before", r.After)
	}
	limit := r.Limit
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	rows, looked, last := []ItemRow{}, 0, after
	all := mergedFrom(c.queues, after)
	for w := all.next(); w != nil; w = all.next() {
		if len(rows) == limit || looked == maxLooked {
			return map[string]any{"items": rows, "more": true, "after": strconv.FormatUint(last, 16)}
		}
		looked, last = looked+1, w.order
		if c.has(w) {
			rows = append(rows, b.itemRow(now, w))
		}
	}
	return map[string]any{"items": rows, "more": false}
}

func (b *Broker) itemRow(now time.Duration, w *waiter) ItemRow {
	row := ItemRow{
		ID: strconv.FormatUint(w.order, 16), Service: w.service.name, For: w.service.target(), Topic: w.topic, Client: w.client.name, Key: b.keyName(w.client.peer),
		Bytes: w.msg.Size, AgeMS: (now - w.since).Milliseconds(), LeftMS: (w.deadline - now).Milliseconds(),
	}
	if w.task != nil {
		row.Task = w.task.id
	}
	return row
}

// merged goes through several queues in order of coming, whatever joins or leaves them meanwhile.
type merged struct {
	queues []*service
	last   uint64 // order of the last one
}

func mergedFrom(queues []*service, after uint64) *merged { return &merged{queues, after} }

// next returns the earliest of those that follow, nil behind the last.
func (m *merged) next() *waiter {
	var first *waiter
	for _, s := range m.queues {
		q := &s.queue
		i := q.behind(m.last)
		for i < len(q.items) && q.items[i].gone {
			i++
		}
		if i < len(q.items) && (first == nil || q.items[i].order < first.order) {
			first = q.items[i]
		}
	}
	if first != nil {
		m.last = first.order
	}
	return first
}

// behind returns the place of the first that came after this order.
func (q *queue) behind(order uint64) int {
	i, _ := slices.BinarySearchFunc(q.items[q.head:], order, func(w *waiter, order uint64) int {
		if w.order <= order {
			return -1
		}
		return 1
	})
	return q.head + i
}

// removeItem takes one OPEN out.
func (b *Broker) removeItem(now time.Duration, r AdminRequest, fx []Effect) (any, []Effect) {
	c, wrong := b.choose(now, r)
	if wrong != nil {
		return wrong, fx
	}
	id, err := strconv.ParseUint(r.ID, 16, 64)
	if err != nil || id == 0 {
		return fail("id is %.100q: take it from `troupe queue show %s`", r.ID, r.Service), fx
	}
	for _, s := range c.queues {
		if i := s.queue.behind(id - 1); i < len(s.queue.items) && s.queue.items[i].order == id && !s.queue.items[i].gone {
			fx = b.takeOut(now, s.queue.items[i], operatorOf(r), fx)
			return map[string]any{"removed": 1}, append(fx, b.audit(now, &Audit{operatorOf(r), "removed from the queue", r.Service, 1, "id " + r.ID}))
		}
	}
	return fail("nothing with the id %s waits for %s: it has begun, or is over: see `troupe queue show %s`", r.ID, r.Service, r.Service), fx
}

func operatorOf(r AdminRequest) string { return cmp.Or(r.By, "an operator") }

// takeOut removes an OPEN and tells its submitter.
func (b *Broker) takeOut(now time.Duration, w *waiter, by string, fx []Effect) []Effect {
	b.unqueue(w)
	b.totals.Removed++
	return b.failOpen(now, w, wire.Killed, "removed from the queue by "+by+" while it waited for a slot: submit it again if that was not meant", nil, fx)
}

// hold makes a service give nothing out, or give out again.
func (b *Broker) hold(now time.Duration, r AdminRequest, held bool, fx []Effect) (any, []Effect) {
	if r.Service == "" {
		return fail("service is empty: name the service that is meant"), fx
	}
	all := b.queues(r.Service)
	if len(all) == 0 {
		return fail("no worker has offered the service %.140q, and nobody waits for it (%s)", r.Service, b.offered()), fx
	}
	changed, word := false, "held"
	if !held {
		word = "released"
	}
	for _, s := range all {
		if s.view == nil && s.held != held {
			s.held, changed = held, true
		}
	}
	if !changed {
		return fail("the service %q is %s already", r.Service, map[bool]string{true: "held", false: "not held"}[held]), fx
	}
	if !held {
		fx = b.serveAll(now, r.Service, fx)
		for _, s := range all {
			b.prune(s)
		}
	}
	return map[string]any{word: r.Service}, append(fx, b.audit(now, &Audit{operatorOf(r), word, r.Service, 0, ""}))
}

// serveAll gives what waits for a service to its workers.
func (b *Broker) serveAll(now time.Duration, name string, fx []Effect) []Effect {
	for _, w := range b.workers {
		if w.names[name] != nil && len(w.services) > 0 {
			fx = b.serve(now, w, fx)
		}
	}
	return fx
}

// job is a command that takes out many, some in each turn, so that no turn is long. Who asked hears when it is done.
type job struct {
	chosen
	by, service string
	to          string    // they go to this service; empty: they are removed
	dry         bool      // they are only counted
	asker       wire.Peer // 0: nobody
	arg         uint32
	all         *merged
	done        int
	refused     int // found no room at the other service, and wait where they were
}

// maxJobs bounds what may be under way.
const maxJobs = 16

// begin starts a job that a request asks for.
func (b *Broker) beginJob(now time.Duration, r AdminRequest, asker wire.Peer, arg uint32, fx []Effect) (any, *job, []Effect) {
	c, wrong := b.choose(now, r)
	switch {
	case wrong != nil:
		return wrong, nil, fx
	case r.Cmd == "queue.move" && (r.To == "" || r.To == r.Service):
		return fail("to is %.140q: name another service, where they are to wait", r.To), nil, fx
	case r.Cmd == "queue.move" && (b.services[r.To] == nil || !b.services[r.To].offered):
		return fail("no worker has offered the service %.140q (%s): start one before anything is moved there", r.To, b.offered()), nil, fx
	case len(b.jobs) >= maxJobs:
		return fail("%d such commands are under way: ask again when they are done", len(b.jobs)), nil, fx
	}
	j := &job{chosen: c, dry: r.DryRun, by: operatorOf(r), service: r.Service, to: r.To, asker: asker, arg: arg, all: mergedFrom(c.queues, 0)}
	b.jobs = append(b.jobs, j)
	return nil, j, b.runJobs(now, fx)
}

// runJobs takes out some more.
func (b *Broker) runJobs(now time.Duration, fx []Effect) []Effect {
	for i := 0; i < len(b.jobs); i++ {
		j := b.jobs[i]
		var over bool
		if fx, over = b.runJob(now, j, fx); over {
			b.jobs = slices.Delete(b.jobs, i, i+1)
			i--
			fx = b.endJob(now, j, fx)
		}
	}
	b.jobAt = 0
	if len(b.jobs) > 0 {
		b.jobAt = now + 1 // in the next turn
	}
	return fx
}

func (b *Broker) runJob(now time.Duration, j *job, fx []Effect) ([]Effect, bool) {
	slice := jobSlice
	if j.dry {
		slice = drySlice
	}
	for range slice {
		w := j.all.next()
		if w == nil || w.order > j.bound {
			return fx, true
		}
		switch {
		case !j.has(w):
		case j.dry:
			j.done++
		case j.to == "":
			fx = b.takeOut(now, w, j.by, fx)
			j.done++
		case b.moveItem(w, j.to):
			j.done++
		default:
			j.refused++
		}
	}
	return fx, false
}

// moveItem lets an OPEN wait for another service, behind those that wait there. It reports whether there was room.
func (b *Broker) moveItem(w *waiter, to string) bool {
	s := b.services[to]
	if s == nil || s.waits() >= b.cfg.MaxQueue {
		return false
	}
	if w.target != nil && w.target.Key == "" {
		s, _ = b.viewFor(s, w.target) // it was judged when it came
	}
	x := *w
	b.unqueue(w)
	b.arrivals++
	x.msg = wire.NewMessage(w.msg.Header, append([][]byte{[]byte(to)}, w.msg.Body[1:]...)...)
	x.msg.From = w.msg.From
	x.service, x.index, x.order, x.gone = s, -1, b.arrivals, false
	x.client.waiting++
	s.count(&x, 1)
	s.queue.push(&x)
	b.waiting.Fix(&x)
	if x.task != nil {
		x.task.waiter, x.task.service = &x, to
	}
	return true
}

// endJob tells who has asked.
func (b *Broker) endJob(now time.Duration, j *job, fx []Effect) []Effect {
	if !j.dry {
		done := &Audit{j.by, "cleared", j.service, j.done, ""}
		if j.to != "" {
			done.Action, done.Detail = "moved", "to "+j.to
			fx = b.serveAll(now, j.to, fx)
		}
		fx = append(fx, b.audit(now, done))
	}
	if j.asker == 0 {
		return fx
	}
	return append(fx, send(j.asker, wire.Header{Type: wire.Report, Arg: j.arg}, mustJSON(j.report())))
}

// setWants says how many workers a service is to have before anything of it is given out.
func (b *Broker) setWants(s *service) {
	if b.cfg.MinWorkers != nil {
		s.wants = b.cfg.MinWorkers(s.name)
	}
}

// describeShut says why a service that has workers gives nothing out.
func (s *service) describeShut() string {
	if s = s.holder(); s.held {
		return "it is held by an operator (`troupe queue release`)"
	}
	return fmt.Sprintf("it has %d of the %d workers that it is to have (--min-workers)", s.workers.Len(), s.wants)
}

// administerJob is a job for who asks in this process: it is done at once.
func (b *Broker) administerJob(now time.Duration, r AdminRequest, fx []Effect) (any, []Effect) {
	answer, j, fx := b.beginJob(now, r, 0, 0, fx)
	if answer != nil {
		return answer, fx
	}
	for slices.Contains(b.jobs, j) {
		fx = b.runJobs(now, fx)
	}
	return j.report(), fx
}

// report says what a job has done.
func (j *job) report() map[string]any {
	if j.dry {
		return map[string]any{"would": j.done}
	}
	if j.to != "" {
		return map[string]any{"moved": j.done, "no_room": j.refused}
	}
	return map[string]any{"removed": j.done}
}
