package assigner

import (
	"os"
	"sync/atomic"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// enrolment is a worker's registration at one broker, and its hits from there. The slots they are given are the worker's.
type enrolment struct {
	worker     *Worker
	broker     string
	link       *link
	registered atomic.Bool  // on the present connection; set on the loop
	maxBody    atomic.Int64 // the broker's
	tenure     tenure       // of its direct hits
	probes     probes
	window     atomic.Int64 // of the connection, bytes
	bound      int          // slots whose actors are up, and may have something to say though their hits are over; the loop's

	// Under the worker's lock:
	slots   map[uint64]*slot // hits of the present connection, by handle
	orphans map[*slot]bool   // slots still in use for hits of earlier connections
	quits   bool             // no BEGIN can follow from this broker any more
	told    share            // what the broker knows about slots
	next    string           // the broker to go to when the hits of this one have ended; empty: it stays
	parts   bool             // it has taken leave for that
	peer    wire.Peer        // the present connection
}

func newEnrolment(w *Worker, broker string) *enrolment {
	return &enrolment{worker: w, broker: broker, slots: make(map[uint64]*slot), orphans: make(map[*slot]bool)}
}

// sendOn sends on one connection only: on a later one nobody knows what it speaks of.
func (e *enrolment) sendOn(peer wire.Peer, h *wire.Header, body ...[]byte) {
	_ = e.link.ep.Sender().SendOn(peer, h, body...)
}

func (e *enrolment) send(h *wire.Header, body ...[]byte) {
	_ = e.link.ep.Sender().Send(h, body...)
}

// leave says BYE, and PING behind it: hits that were on their way are served, and after the PONG none can come.
func (e *enrolment) leave() {
	if !e.registered.Load() {
		e.quit()
		return
	}
	e.send(&wire.Header{Type: wire.Bye})
	e.send(&wire.Header{Type: wire.Ping, Arg: lastWord})
}

// The PINGs behind BYE. The broker may answer the first one before its actors have seen BYE, the second one never.
const (
	lastWord = 0x42594521 + iota
	veryLastWord
)

func (e *enrolment) parting(arg uint32) {
	switch arg {
	case lastWord:
		e.send(&wire.Header{Type: wire.Ping, Arg: veryLastWord})
	case veryLastWord:
		if !e.move() {
			e.quit()
		}
	}
}

// quit takes no further hits of this broker. When no broker can send any, those that are open are waited for.
func (e *enrolment) quit() {
	w := e.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	e.quits = true
	for _, other := range w.brokers {
		if !other.quits {
			return
		}
	}
	w.draining = true
	if w.slots.Used() == 0 {
		w.idled()
	}
}

// workerSide is the enrolment as its registrar sees it, on the loop.
type workerSide enrolment

func (s *workerSide) greet() {
	e := (*enrolment)(s)
	w := e.worker
	host, _ := os.Hostname()
	w.mu.Lock()
	defer w.mu.Unlock() // after READY is on its way: the ENDED of an orphan that it counts must come behind it
	if w.leaving {
		return // it would be given hits
	}
	e.peer = e.link.ep.Broker()
	for o := range e.orphans {
		o.counted = e.peer
	}
	e.introduce()
	e.send(&wire.Header{Type: wire.Ready}, wire.JSON(wire.ReadyInfo{
		Direct: w.front.url(), DirectKey: w.front.directKey(),
		Name: w.cfg.Name, Services: w.offer.names(), Slots: e.told.slots, SlotsMax: e.told.most,
		Busy: len(e.orphans), PID: os.Getpid(), Host: host, Incarnation: w.incarnation, Lang: "go", Threads: w.offer.threads(),
		SilenceMS: w.cfg.Silence.Milliseconds(), Terms: w.offer.terms(), Labels: w.offer.labels,
	}))
	w.changed()
}

func (s *workerSide) usable(info wire.WelcomeInfo) {
	e := (*enrolment)(s)
	w := e.worker
	w.mu.Lock()
	leaving := w.leaving
	w.mu.Unlock()
	e.registered.Store(true)
	e.maxBody.Store(info.MaxBody)
	e.tenure.begin(info)
	e.window.Store(info.Window)
	e.link.logger.Info("registered", "broker", info.Broker, "worker", w.cfg.Name, "slots", w.cfg.Slots)
	w.once.Do(func() { close(w.welcomed) })
	if leaving {
		e.leave()
	}
	if w.zombies.Load() > 0 {
		w.tellZombies()
	}
}

// lost ends all sessions of the connection that is gone: their threads are told, and close them when they come back.
func (s *workerSide) lost(reason string) {
	e := (*enrolment)(s)
	w := e.worker
	old := e.disown() // whose slots are in use until their sessions are closed
	w.mu.Lock()
	leaving := w.leaving
	w.mu.Unlock()
	e.registered.Store(false)
	e.probes.lost(reason)
	if leaving {
		e.quit()
	}
	if len(old) > 0 {
		e.link.logger.Warn("the broker is lost, sessions are ended", "broker", e.broker, "reason", reason, "sessions", len(old))
	}
	w.front.lost(e)
	for _, sl := range old {
		sl.orphan()
	}
}

func (s *workerSide) failed(status wire.Status, reason string) {
	e := (*enrolment)(s)
	e.link.logger.Error("the broker refuses this worker", "broker", e.broker, "status", status.String(), "reason", reason)
	w := e.worker
	if w.refused++; w.refused == len(w.brokers) {
		close(w.failed)
	}
	w.mu.Lock()
	leaving := w.leaving
	w.mu.Unlock()
	if leaving {
		e.quit()
	}
}

// message takes what names no session: BEGIN, CANCEL, and what comes too late.
func (s *workerSide) message(m *wire.Message) {
	e := (*enrolment)(s)
	switch m.Header.Type {
	case wire.Begin:
		e.begin(m.Copy())
	case wire.Grant:
		e.worker.front.granted(e, m.Header.Arg)
	case wire.Moved:
		e.moved(m)
	case wire.Probe:
		e.probed(m)
	case wire.Vitals:
		e.probes.answered(m)
	case wire.Pong:
		e.parting(m.Header.Arg)
	case wire.Cancel:
		e.worker.mu.Lock()
		sl := e.slots[m.Header.Hit]
		e.worker.mu.Unlock()
		if sl != nil && sl.epoch == m.Header.Epoch {
			sl.cancel(m.Header.Seq, m.At)
		}
	case wire.Part, wire.Credit:
		e.stream(m)
	case wire.End:
		if e.forward(m) {
			return
		}
		e.send(&wire.Header{Type: wire.Ended, Status: wire.UnknownHit, Hit: m.Header.Hit, Epoch: m.Header.Epoch})
	case wire.Call:
		if e.forward(m) { // a hit that has moved here: its calls follow BEGIN at once
			return
		}
		h := wire.Header{Type: wire.Error, Status: wire.UnknownHit, Hit: m.Header.Hit, Epoch: m.Header.Epoch, Seq: m.Header.Seq, Arg: uint32(wire.NeverStarted)}
		e.send(&h, []byte("this worker has no such session"))
	case wire.Error:
		e.link.logger.Warn("the broker refused a message", "broker", e.broker, "status", m.Header.Status.String(), "text", string(m.Frame(0)))
	}
}
