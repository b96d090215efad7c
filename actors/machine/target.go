package machine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/actors/schedule"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// A view is the record of those workers of a service that may have hits of one target (hit.md, section 18). It has a queue and a policy of its own, and
// shares the workers' loads, so that everything that gives slots to services gives them to views. view is what a service record has that is one.
type view struct {
	base   *service
	text   string // the target, in words
	worker string // of this name, if not empty
	member uint32 // of this registration, if not 0
	where  schedule.Selector
	used   uint64 // when it was last, in OPENs
}

const (
	maxViews = 256     // of selectors that nobody waits for, kept so that the next hit need not look at all workers
	maxKeys  = 1 << 16 // whose workers are remembered
)

// single reports whether the view can have one worker at most.
func (v *view) single() bool { return v.worker != "" || v.member != 0 }

// matches reports whether a worker that offers the service belongs to the view.
func (v *view) matches(w *Worker) bool {
	switch {
	case v.member != 0:
		return w.member == v.member
	case v.worker != "":
		return w.Name == v.worker
	}
	return v.where.Match(w.label)
}

// label returns a label of the worker by name.
func (w *Worker) label(name string) (string, bool) {
	switch name {
	case "worker":
		return w.Name, true
	case "host":
		return w.Info.Host, true
	case "lang":
		return w.Info.Lang, true
	case "member":
		return strconv.FormatUint(uint64(w.member), 16), true
	}
	v, ok := w.Info.Labels[name]
	return v, ok
}

// openFor gives a hit with a target to one of the workers that may have it, or lets it wait for one of them.
func (b *Broker) openFor(now time.Duration, base *service, c *client, m *wire.Message, o options, fx []Effect) []Effect {
	if o.target.Key != "" {
		w := b.bound(base, o.target.Key)
		if w == nil {
			return b.openAt(now, base, c, m, o, fx)
		}
		return b.openAt(now, b.viewOf(base, view{member: w.member}), c, m, o, fx)
	}
	s, err := b.viewFor(base, o.target)
	if err != nil {
		return refuse(fx, m, wire.BadFrame, "OPEN: target: where: %v", err)
	}
	if s.workers.Len() == 0 && (o.target.Absent == wire.AbsentFail || o.target.Member != "") {
		fx = refuse(fx, m, wire.NoMatch, "%s", b.nobodyFor(s))
		b.prune(s)
		return fx
	}
	return b.openAt(now, s, c, m, o, fx)
}

// nobodyFor says why a view has no worker.
func (b *Broker) nobodyFor(s *service) string {
	if s.view.member != 0 {
		return fmt.Sprintf("the worker that was member %x of service %q is not there any more: ask for the members again", s.view.member, s.name)
	}
	return fmt.Sprintf("no worker of service %q is %s (`troupe worker list` shows who is there, with labels): start one, correct the target, or let the hit wait for one (absent: wait)", s.name, s.view.text)
}

// viewFor returns the view of a target.
func (b *Broker) viewFor(base *service, t *wire.Target) (*service, error) {
	v := view{worker: t.Worker}
	if t.Member != "" {
		v.member, _ = wire.ParseMember(t.Member) // judged on arrival
	}
	if t.Where != "" {
		var err error
		if v.where, err = schedule.ParseSelector(t.Where, wire.IsLabelKey, wire.IsLabelValue); err != nil {
			return nil, err
		}
	}
	return b.viewOf(base, v), nil
}

// viewOf returns the view that is like v, which it makes if there is none.
func (b *Broker) viewOf(base *service, v view) *service {
	switch {
	case v.member != 0:
		v.text = fmt.Sprintf("member %x", v.member)
	case v.worker != "":
		v.text = "worker " + v.worker
	default:
		v.text = v.where.String()
	}
	key := base.key + "\x00" + v.text
	s := b.services[key]
	if s == nil {
		s = b.service(key, base.name)
		v.base, s.view, s.offered = base, &v, base.offered
		base.views = append(base.views, s)
		b.fill(s)
		if !v.single() {
			b.selectors++
			b.trimViews(s)
		}
	}
	b.viewed++
	s.view.used = b.viewed
	return s
}

// fill takes the workers that match into a view.
func (b *Broker) fill(s *service) {
	if s.view.worker != "" {
		if w := b.names[s.view.worker]; w != nil && slices.Contains(w.services, s.view.base) {
			b.offer(w, s)
		}
		return
	}
	for _, w := range b.workers {
		if s.view.matches(w) && slices.Contains(w.services, s.view.base) {
			b.offer(w, s)
			if s.view.member != 0 {
				return
			}
		}
	}
}

// join takes a worker into the views of a service that it offers.
func (b *Broker) join(w *Worker, base *service) {
	for _, s := range base.views {
		if s.view.matches(w) && !slices.Contains(w.services, s) {
			b.offer(w, s)
		}
	}
}

// trimViews drops the views of selectors that were not used longest, where nobody waits, when there are too many of them.
func (b *Broker) trimViews(but *service) {
	if b.selectors <= maxViews {
		return
	}
	var oldest *service
	for _, s := range b.services {
		if s.view != nil && s != but && s.queue.n == 0 && (oldest == nil || s.view.used < oldest.view.used) {
			oldest = s
		}
	}
	if oldest != nil {
		b.dropView(oldest)
	}
}

// dropView forgets a view that nobody waits for.
func (b *Broker) dropView(s *service) {
	delete(b.services, s.key)
	if !s.view.single() {
		b.selectors--
	}
	base := s.view.base
	if i := slices.Index(base.views, s); i >= 0 {
		base.views = slices.Delete(base.views, i, i+1)
	}
	if s.workers.Len() > 0 {
		for _, w := range b.workers {
			if !s.view.single() || s.view.matches(w) {
				w.retract(s)
			}
		}
	}
	b.prune(base)
}

// retract takes the worker out of one queue.
func (w *Worker) retract(s *service) {
	i := slices.Index(w.services, s)
	if i < 0 {
		return
	}
	s.workers.Remove(w.entries[i])
	n := len(w.services) - 1
	w.services[i], w.entries[i] = w.services[n], w.entries[n]
	w.services[n], w.entries[n] = nil, nil
	w.services, w.entries = w.services[:n], w.entries[:n]
}

// bound returns the worker that a key went to last, if it still takes hits of the service.
func (b *Broker) bound(base *service, key string) *Worker {
	w, ok := b.keys.Get(base.key + "\x00" + key)
	if !ok || b.workers[w.Peer] != w || w.left || !slices.Contains(w.services, base) {
		return nil
	}
	return w
}

// bind remembers who has the key of a hit.
func (b *Broker) bind(s *service, t *wire.Target, w *Worker) {
	if t != nil && t.Key != "" {
		if s.view != nil {
			s = s.view.base
		}
		b.keys.Put(s.key+"\x00"+t.Key, w)
	}
}

// boundElsewhere lets an OPEN whose key has meanwhile gone to another worker wait for that one.
func (b *Broker) boundElsewhere(w *waiter, here *Worker) bool {
	if w.target == nil || w.target.Key == "" || w.service.view != nil {
		return false
	}
	other := b.bound(w.service, w.target.Key)
	if other == nil || other == here {
		return false
	}
	b.requeue(w, b.viewOf(w.service, view{member: other.member}))
	return true
}

// requeue lets an OPEN wait at another place, as long as before, under another record: the old queue forgets the old one later.
func (b *Broker) requeue(w *waiter, s *service) *waiter {
	x := *w
	b.unqueue(w)
	x.service, x.index = s, -1
	x.client.waiting++
	if x.task != nil {
		x.task.waiter = &x
	}
	s.count(&x, 1)
	s.queue.insert(&x)
	b.waiting.Fix(&x)
	return &x
}

// waits returns how many wait for the service, whatever their target.
func (s *service) waits() int {
	if s.view != nil {
		s = s.view.base
	}
	return s.queue.n + s.elsewhere
}

// targetsGone takes a worker away from those that wait for it alone. services are those that it was in.
func (b *Broker) targetsGone(now time.Duration, w *Worker, services []*service, s wire.Status, why *Why, fx []Effect) []Effect {
	for _, v := range services {
		if v.view == nil || v.workers.Len() > 0 {
			continue
		}
		v.queue.each(func(x *waiter) { fx = b.targetGone(now, w, x, s, why, fx) })
		b.prune(v)
	}
	return fx
}

func (b *Broker) targetGone(now time.Duration, w *Worker, x *waiter, s wire.Status, why *Why, fx []Effect) []Effect {
	t := x.target
	switch {
	case t == nil:
		return fx
	case t.Key != "": // it may have another one
		base := x.service.view.base
		if other := b.bound(base, t.Key); other != nil {
			base = b.viewOf(base, view{member: other.member})
		}
		if x = b.requeue(x, base); b.shut(base) {
			return fx
		}
		if to, ok := b.slotFor(base); ok {
			b.unqueue(x)
			return b.assignWaiter(now, x, to, fx)
		}
		return fx
	case t.Absent != wire.AbsentFail && t.Member == "":
		return fx
	}
	b.unqueue(x)
	text := fmt.Sprintf("worker %s, which the hit was to have, takes no new hits: choose another one", w.Name)
	if why != nil {
		text = fmt.Sprintf("worker %s, which the hit was to have, is lost: %s: %s: choose another one", w.Name, why.Detector, why.Measured)
	}
	var record []byte
	if why != nil {
		record = why.JSON()
	}
	return b.failOpen(now, x, s, text, record, fx)
}

// MemberRow is one worker that may have hits of a service, in the answer to members.
type MemberRow struct {
	Worker string            `json:"worker"`
	Member string            `json:"member"` // names this registration of it, in targets
	Host   string            `json:"host"`
	PID    int               `json:"pid"`
	Lang   string            `json:"lang,omitempty"`
	Slots  int               `json:"slots"`
	Labels map[string]string `json:"labels,omitempty"`
}

// members lists the workers that offer a service, as far as a selector matches them.
func (b *Broker) members(m *wire.Message, r AdminRequest) any {
	if c := b.clients[m.From]; c == nil || c.left {
		return fail("members from a connection that has not said HELLO: say it first")
	} else if err := b.mayOpen(c, []byte(r.Service)); err != nil {
		return fail("%v", err)
	}
	return b.Members(r)
}

// Members is the command members, for who may.
func (b *Broker) Members(r AdminRequest) any {
	where := schedule.Selector{}
	if r.Where != "" {
		var err error
		if where, err = schedule.ParseSelector(r.Where, wire.IsLabelKey, wire.IsLabelValue); err != nil {
			return fail("where: %v", err)
		}
	}
	if err := wire.CheckService([]byte(r.Service)); err != nil {
		return fail("service: %v", err)
	}
	base, rows := b.services[r.Service], []MemberRow{}
	if base != nil {
		for _, w := range b.workers {
			if slices.Contains(w.services, base) && where.Match(w.label) {
				rows = append(rows, MemberRow{w.Name, fmt.Sprintf("%x", w.member), w.Info.Host, w.Info.PID, w.Info.Lang, w.Load.Slots, w.Info.Labels})
			}
		}
	}
	slices.SortFunc(rows, func(x, y MemberRow) int { return strings.Compare(x.Worker, y.Worker) })
	return map[string]any{"members": rows, "offered": base != nil && base.offered}
}
