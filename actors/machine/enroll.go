package machine

import (
	"fmt"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/actors/schedule"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// maxServices bounds what each assignment has to look at.
const maxServices = 1024

// ready registers a worker. A name that is taken is fought over first.
func (b *Broker) ready(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	if w := b.workers[m.From]; w != nil {
		return w.again(now, m, fx)
	}
	info, err := wire.ParseReady(m.Frame(0))
	if err != nil {
		return refuse(fx, m, wire.BadFrame, "%v", err)
	}
	if n := len(info.Services); n > maxServices {
		return refuse(fx, m, wire.BadFrame, "READY: services has %d names: at most %d are possible, start several workers", n, maxServices)
	}
	if b.draining {
		return refuse(elsewhere(m.From, b.moved.workers, fx), m, wire.Draining, "the broker takes no workers, it is about to stop: register with another one, or later")
	}
	if err := b.mayServe(m.From, info.Services); err != nil {
		return refuse(fx, m, wire.Refused, "%v", err)
	}
	if old := b.names[b.nameOf(&info)]; old != nil && old.Peer != m.From {
		b.claim(m.From, info.Busy)
		return append(fx, Effect{Kind: Ask, Worker: old, Event: &Challenge{Rival: m.Copy()}})
	}
	c := b.claimed(m.From)
	if c != nil {
		info.Busy = max(info.Busy-c.freed, 0)
	}
	fx = b.enroll(now, m.From, info, fx)
	return c.told(b.workers[m.From], fx)
}

// nameOf names workers that have not named themselves.
func (b *Broker) nameOf(info *wire.ReadyInfo) string {
	if info.Name == "" {
		b.unnamed++
		info.Name = fmt.Sprintf("%s-%d", info.Host, info.PID)
		if info.Host == "" || info.PID == 0 {
			info.Name = fmt.Sprintf("worker-%d", b.unnamed)
		}
	}
	return info.Name
}

func (b *Broker) enroll(now time.Duration, peer wire.Peer, info wire.ReadyInfo, fx []Effect) []Effect {
	w := &Worker{
		Peer: peer, Name: info.Name, Info: info, Since: now, ask: b.cfg.Ask, hits: hits{which: ofWorker}, busy: info.Busy,
		Load: schedule.Load{Used: info.Busy}, told: info.Slots, most: max(info.SlotsMax, info.Slots), names: make(map[string]*Names),
	}
	w.line = b.judgeLine(now, &line{to: peer, worker: w}, time.Duration(info.SilenceMS)*time.Millisecond)
	b.enrolled++
	if w.member = b.cfg.Epoch + b.enrolled; w.member == 0 {
		b.enrolled++
		w.member++
	}
	w.Load.Weight = weightOf(info.Labels)
	w.resize()
	welcome := b.welcome(b.ports.Window(peer, info.Window), info.Name)
	welcome.LeaseMS = b.cfg.Lease.Milliseconds()
	w.welcome = mustJSON(welcome)
	b.workers[peer] = w
	b.names[w.Name] = w
	b.event(now, Event{Kind: WorkerCame, Worker: w.Name, Text: strconv.Itoa(w.Load.Slots) + " slots, pid " + strconv.Itoa(info.PID) + " on " + info.Host})
	b.offerAll(now, w, nil)
	fx = append(fx, Effect{Kind: Enroll, To: peer, Worker: w}, send(peer, wire.Header{Type: wire.Welcome}, w.welcome))
	return b.serveNew(now, w, fx)
}

// weightLabel is the label by which a worker says its share under the policy weighted.
const weightLabel = "weight"

// weightOf is the share that labels ask for; 0: as many as there are slots.
func weightOf(labels map[string]string) int {
	n, err := strconv.Atoi(labels[weightLabel])
	if err != nil || n < 1 || n > wire.MaxSlots {
		return 0
	}
	return n
}

// namesOf returns what the hits of a service at the worker share: what they say of themselves, and what the worker asks for the service.
func (b *Broker) namesOf(w *Worker, service string) *Names {
	t := w.Info.Terms[service]
	n := &Names{limits: &b.limits, Service: service, Worker: w.Name, member: w.member, repair: repairOf(t.Repair)}
	if b.cfg.Repair != nil {
		if set := b.cfg.Repair(service); set != "" {
			n.repair, t.Repair = repairOf(set), set
		}
	}
	if b.cfg.Stuck > 0 {
		n.lease = max(b.cfg.Stuck, time.Duration(t.LeaseMS)*time.Millisecond)
	}
	if t.Repair == "" && t.LeaseMS > 0 {
		n.repair = repairFail // it has promised to give signs
	}
	return n
}

// offer makes hits of a service, on one of the ways, go to the worker.
func (b *Broker) offer(w *Worker, s *service) {
	if !s.offered {
		s.offered = true
		b.prolong(s)
		for _, v := range s.views {
			v.offered = true
			b.prolong(v)
		}
	}
	w.services = append(w.services, s)
	w.entries = append(w.entries, s.workers.Add(w, &w.Load))
	b.join(w, s)
}

// fix tells all queues the worker is in that its load has changed.
func (w *Worker) fix() {
	for i, e := range w.entries {
		w.services[i].workers.Fix(e)
	}
}

// withdraw takes the worker out of all queues.
func (w *Worker) withdraw() {
	for i, e := range w.entries {
		w.services[i].workers.Remove(e)
	}
	w.entries, w.services = nil, nil
	w.Load.Closed, w.deaf = true, false
}

// Report takes what a worker's machine reports.
func (b *Broker) Report(now time.Duration, event any, fx []Effect) []Effect {
	switch e := event.(type) {
	case *WorkerDown:
		return b.down(now, e.Worker, e.Why, fx)
	case *WorkerLeaves:
		services := e.Worker.services
		e.Worker.withdraw()
		b.event(now, Event{Kind: WorkerDrains, Worker: e.Worker.Name, Text: "it takes no new hits"})
		b.goneServices(now, services)
		return b.targetsGone(now, e.Worker, services, wire.Draining, nil, fx)
	case *SlotsChanged:
		return b.slotsChanged(now, e, fx)
	case *Surveyed:
		return b.surveyAnswered(e, fx)
	case *taskSettled:
		return b.settleTask(now, e.Task, e.Answer, fx)
	case *taskWorking:
		return b.taskWorks(e, fx)
	case *SlotFreed:
		return b.slotFree(now, e.Worker, fx)
	case *Orphaned:
		return b.orphaned(now, e, fx)
	case *Leaves:
		return b.leaves(now, e, fx)
	case *Confirmed:
		b.claimed(e.Rival.From)
		return refuse(fx, e.Rival, wire.NameTaken, "%s", e.Worker.claimed(e.Rival))
	case *Yielded:
		fx = b.down(now, e.Worker, e.Why, fx)
		return b.ready(now, e.Rival, fx)
	}
	panic(fmt.Sprintf("machine: a worker reported a %T", event))
}

// claimed says why a living worker's name cannot be had; who is the worker itself has two of this broker's addresses.
func (w *Worker) claimed(rival *wire.Message) string {
	if info, err := wire.ParseReady(rival.Frame(0)); err == nil && info.Incarnation != "" && info.Incarnation == w.Info.Incarnation {
		return fmt.Sprintf("this worker, %q (pid %d on %s), is registered here already, by another address of this broker: name the broker once", w.Name, w.Info.PID, w.Info.Host)
	}
	return fmt.Sprintf("a living worker is named %q already (pid %d on %s): give this one another name", w.Name, w.Info.PID, w.Info.Host)
}

// down takes the loss of a worker: its hits are told, and nobody waits for its slots.
func (b *Broker) down(now time.Duration, w *Worker, why Why, fx []Effect) []Effect {
	if b.workers[w.Peer] != w {
		return fx
	}
	delete(b.workers, w.Peer)
	b.lines.Remove(w.line)
	if why.Worker == "" {
		why.Worker = w.Name
	}
	why.AtMS, why.AgeMS = now.Milliseconds(), (now - w.Since).Milliseconds()
	if b.names[w.Name] == w {
		delete(b.names, w.Name)
	}
	lost := w.hits.n > 0 || !w.left
	over := Event{Kind: WorkerLeft, Worker: w.Name}
	if lost {
		over.Kind, over.Verdict, over.Text = WorkerLost, why.Verdict, why.Detector+": "+why.Measured
	}
	b.event(now, over)
	services := w.services
	w.withdraw()
	b.goneServices(now, services)
	fx = b.targetsGone(now, w, services, wire.WorkerGone, &why, fx)
	b.forgetServices(services)
	if lost {
		b.totals.Lost++
		b.store(why)
	}
	return b.tellLoss(now, w, why, fx)
}

// goneServices notes which services nobody offers any more.
func (b *Broker) goneServices(now time.Duration, services []*service) {
	for _, s := range services {
		if s.view == nil && s.key == s.name && s.workers.Len() == 0 {
			b.event(now, Event{Kind: ServiceGone, Service: s.name, Text: "nobody offers it any more"})
		}
	}
}

// orphaned frees the slot of a hit whose actor crashed.
func (b *Broker) orphaned(now time.Duration, e *Orphaned, fx []Effect) []Effect {
	if _, ok := e.Worker.behind[e.Handle]; ok {
		delete(e.Worker.behind, e.Handle)
		return b.slotFree(now, e.Worker, fx)
	}
	h := b.byHandle[e.Handle]
	if h == nil || h.worker != e.Worker || !h.orphan {
		return append(fx, Effect{Kind: Count, Status: wire.UnknownHit})
	}
	b.forget(now, h, wire.Internal)
	return b.slotFree(now, e.Worker, fx)
}

// WorkerCrashed takes the death of a worker's actor: it is the loss of that worker.
func (b *Broker) WorkerCrashed(now time.Duration, w *Worker, what string, fx []Effect) []Effect {
	rival := w.rival
	w.calm()
	w.State = Gone
	fx = b.down(now, w, Why{Verdict: "CRASHED", Detector: "supervisor", Measured: what, Done: "the worker was disconnected and may register again"}, fx)
	fx = append(fx, Effect{Kind: HangUp, To: w.Peer, Text: what})
	if rival != nil {
		return b.ready(now, rival, fx)
	}
	return fx
}

// remembered is how many services nobody offers any more are kept, so that opens of them wait for their workers to come back.
const remembered = 1024

// forgetServices gives up services that nobody offers and nobody waits for, when there are too many of them.
func (b *Broker) forgetServices(services []*service) {
	for _, s := range services {
		if len(b.services) > remembered && s.workers.Len() == 0 && s.queue.n == 0 && s.view == nil && len(s.views) == 0 {
			delete(b.services, s.key)
		}
	}
}
