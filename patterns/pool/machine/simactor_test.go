package machine_test

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine"
	"github.com/troupe-mq/troupe/patterns/pool/machine/election"
	"github.com/troupe-mq/troupe/patterns/pool/machine/ledger"
	"github.com/troupe-mq/troupe/patterns/pool/machine/vote"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
	"github.com/troupe-mq/troupe/supervision/why"
)

// fault is why a process makes no progress.
type fault int

const (
	well    fault = iota
	stopped       // SIGSTOP
	busy          // a loop that never ends
	traced        // a debugger
	starved       // no processor
)

// actor is a process with a Node in it, and the Node's Port.
type actor struct {
	w       *world
	index   int
	id      wire.MemberID
	host    *host
	record  wire.Record
	node    *machine.Node
	guest   bool
	alive   bool
	joined  time.Duration
	fault   fault
	since   time.Duration // of the fault
	waiting []func()      // what happens meanwhile
	term    uint64        // whose lock it holds, 0: none
	master  *actor
	tick    uint64
	fx      []machine.Effect
	doing   bool
	leaving bool
	terms   map[wire.HostID]uint64
	sign    time.Duration // when it last took in something of its master
	asked   map[wire.QuestionID]int
	said    map[wire.QuestionID]string
	stop    map[wire.QuestionID]bool
	watches map[wire.MemberID]bool
	hurt    time.Duration // when it was last in trouble
}

// join starts a process.
func (w *world) join(h *host, guest, noKill bool) *actor {
	h.named++
	a := &actor{
		w: w, index: len(w.nodes), host: h, guest: guest, alive: true, joined: w.now, terms: make(map[wire.HostID]uint64), asked: make(map[wire.QuestionID]int),
		said: make(map[wire.QuestionID]string), stop: make(map[wire.QuestionID]bool), watches: make(map[wire.MemberID]bool), hurt: w.now, sign: w.now,
	}
	a.id = wire.MemberID(w.rng.Uint64N(1<<40)<<8 | uint64(a.index))
	a.record = wire.Record{ID: a.id, Host: h.id, HostName: fmt.Sprint("h", h.index), Name: fmt.Sprintf("h%d-%d", h.index, h.named), PID: 100 + a.index, NoKill: noKill}
	w.nodes = append(w.nodes, a)
	a.node = machine.New(machine.Config{
		Pool: "sim", Me: a.record, Guest: guest, Silence: silence, Beat: beat, Window: window, Reach: reach, Forget: time.Hour, Redrive: 200 * time.Millisecond,
		MaxBytes: 1 << 20, MaxKnown: 1 << 10, MaxWhys: 32, Rand: w.rng.IntN, Faults: w.faults,
		Heard: func(h wire.HostID, t uint64, m wire.MemberID) { w.heardMaster(a, h, t, m) },
	})
	a.step(func() []machine.Effect { return a.node.Start(w.now) })
	return a
}

func (a *actor) String() string { return a.record.Name }

// happens lets something happen to the process: later, if it stands still.
func (a *actor) happens(do func()) {
	switch {
	case !a.alive:
	case a.fault != well:
		a.waiting = append(a.waiting, do)
	default:
		do()
	}
}

// step lets the Node do something and carries out what comes of it.
func (a *actor) step(do func() []machine.Effect) {
	a.fx = append(a.fx, do()...)
	if a.doing {
		return
	}
	a.doing = true
	for len(a.fx) > 0 && a.alive {
		e := a.fx[0]
		a.fx = a.fx[1:]
		e.Do(a)
	}
	a.doing = false
	a.plan()
}

// plan makes the Node's next tick.
func (a *actor) plan() {
	a.tick++
	mine := a.tick
	at := max(a.node.Deadline(), a.w.now+100*time.Microsecond)
	a.w.after(at-a.w.now, func() {
		if mine == a.tick {
			a.happens(func() { a.step(func() []machine.Effect { return a.node.Tick(a.w.now) }) })
		}
	})
}

// soon answers the Node a moment later: what was seen may be old by then.
func (a *actor) soon(do func() []machine.Effect) {
	a.w.after(a.w.between(0, 2*time.Millisecond), func() { a.happens(func() { a.step(do) }) })
}

// hang makes the process stand still.
func (a *actor) hang(f fault) {
	if a.alive && a.fault == well {
		a.fault, a.since, a.hurt = f, a.w.now, a.w.now
		a.w.harm(a)
	}
}

func (a *actor) resume() {
	if !a.alive || a.fault == well {
		return
	}
	a.fault, a.hurt = well, a.w.now
	a.w.harm(a)
	all := a.waiting
	a.waiting = nil
	for _, do := range all {
		a.happens(do)
	}
	a.happens(func() { a.step(func() []machine.Effect { return a.node.Tick(a.w.now) }) })
}

// die ends the process; the kernel frees its locks, and who watches it hears of it.
func (a *actor) die() {
	if !a.alive {
		return
	}
	a.alive, a.waiting = false, nil
	a.w.harm(a)
	a.w.gone(a)
}

// harm notes that masters are concerned.
func (w *world) harm(a *actor) {
	if a.term != 0 {
		w.trouble = w.now
	}
}

func (w *world) gone(a *actor) {
	for _, b := range w.nodes {
		if b.watches[a.id] || b.master == a {
			w.after(w.between(3*time.Millisecond, 6*time.Millisecond), func() {
				b.happens(func() { b.step(func() []machine.Effect { return b.node.Ended(w.now, a.id) }) })
			})
		}
	}
}

// leave ends the process in good order.
func (a *actor) leave() {
	if !a.alive || a.fault != well {
		return
	}
	a.w.harm(a)
	a.leaving = true
	a.step(func() []machine.Effect { return a.node.Leave(a.w.now) })
	a.alive = false
	a.w.gone(a)
}

func (a *actor) Scan() {
	top := a.host.top
	s := election.Seen{Term: top}
	if m := a.w.leader(a.host); m != nil {
		s.Held, s.Master = true, m.record
	}
	a.soon(func() []machine.Effect { return a.node.Scanned(a.w.now, s) })
}

func (a *actor) Claim(t uint64) {
	ours := a.host.terms[t] == nil && t > a.host.top
	if ours {
		a.host.terms[t], a.host.top, a.term = a, t, t
	}
	var living []wire.Record
	for _, b := range a.w.living(a.host) {
		living = append(living, b.record)
	}
	a.soon(func() []machine.Effect { return a.node.Claimed(a.w.now, t, ours, living) })
}

func (a *actor) Resign(t uint64) {
	if a.term == t {
		a.term = 0
	}
	clear(a.watches)
}

func (a *actor) Follow(t uint64, master wire.Record) {
	a.master, a.sign = a.w.byID(master.ID), a.w.now
	if !a.master.alive {
		a.w.gone(a.master)
	}
}

func (a *actor) Lead(uint64) {
	a.master = nil
	for _, h := range a.w.hosts {
		if h != a.host {
			a.soon(func() []machine.Effect { return a.node.LinkUp(a.w.now, dialed(h), true) })
		}
	}
}

func (a *actor) Watch(r wire.Record) {
	a.watches[r.ID] = true
	if b := a.w.byID(r.ID); !b.alive {
		a.w.gone(b)
	}
}

func (a *actor) Unwatch(id wire.MemberID) { delete(a.watches, id) }

func dialed(h *host) machine.LinkID { return machine.LinkID(1 + h.index) }

func accepted(a *actor) machine.LinkID { return machine.LinkID(1000 + a.index) }

func (w *world) byID(id wire.MemberID) *actor { return w.nodes[id&0xff] }

func (a *actor) Send(to machine.Peer, m wire.Message) {
	a.w.sent++
	m.Body = append([]byte(nil), m.Body...)
	if to.Link == 0 {
		b := a.w.byID(to.Member)
		a.w.carry(a, b, func() {
			if b.master == a {
				b.sign = b.w.now
			}
			b.step(func() []machine.Effect { return b.node.Received(a.w.now, machine.Peer{Member: a.id}, m) })
		})
		return
	}
	link := accepted(a)
	var b *actor
	if to.Link >= 1000 {
		b = a.w.nodes[to.Link-1000]
		link = dialed(a.host)
	} else {
		b = a.w.leader(a.w.hosts[to.Link-1])
	}
	if b == nil || b.term == 0 {
		return
	}
	a.w.carry(a, b, func() {
		if b.term != 0 {
			b.step(func() []machine.Effect { return b.node.Received(a.w.now, machine.Peer{Link: link}, m) })
		}
	})
}

// Look is what the kernel says at this moment.
func (a *actor) Look(t uint64, master wire.Record) {
	m := a.w.byID(master.ID)
	now := a.w.now
	s := vote.Sample{At: now, Alive: m.alive, Held: m.alive && m.term == t, Bound: m.alive, Stopped: m.fault == stopped, Traced: m.fault == traced}
	if m.fault == busy {
		s.CPU = now
	}
	if m.fault == starved {
		s.Waited = now
	}
	var living []wire.MemberID
	for _, b := range a.w.living(a.host) {
		living = append(living, b.id)
	}
	a.soon(func() []machine.Effect { return a.node.Looked(a.w.now, t, s, living) })
}

// Kill is checked against the truth: a majority of the living has not heard the master for the limit, and it has hung for as long.
func (a *actor) Kill(t uint64, master wire.Record) {
	m := a.w.byID(master.ID)
	if !m.alive || m.term != t {
		a.soon(func() []machine.Effect { return a.node.Killed(a.w.now, t, "it is gone") })
		return
	}
	living, deaf := a.w.living(a.host), 0
	for _, b := range living {
		if b != m && b.master == m && a.w.now-b.sign >= silence-10*time.Millisecond && !b.record.NoKill {
			deaf++
		}
	}
	hung := a.w.now - m.since
	switch {
	case deaf <= len(living)/2:
		a.w.wrong("%s kills %s, which %d of %d do not hear", a, m, deaf, len(living))
	case m.fault != stopped && m.fault != busy:
		a.w.wrong("%s kills %s, which is not hung (%d)", a, m, m.fault)
	case hung < silence/2:
		a.w.wrong("%s kills %s, which has hung for %v only", a, m, hung)
	case m.record.NoKill || a.record.NoKill:
		a.w.wrong("%s kills %s, and was told not to", a, m)
	}
	a.w.kills++
	a.w.tell("%s kills %s", a, m)
	m.die()
}

func (a *actor) Changed() {}

func (a *actor) Tell(r why.Record) { a.w.tell("%s: %s of %s: %s", a, r.Verdict, r.Worker, r.Done) }

// Handle answers after a while, in parts or with an error, as chance has it.
func (a *actor) Handle(q wire.QuestionID, _ wire.HostID, body []byte) {
	if a.asked[q]++; a.asked[q] > 1 {
		a.w.wrong("%s is asked %v twice", a, q)
	}
	parts := a.w.rng.IntN(3)
	at := time.Duration(0)
	text := ""
	for i := range parts {
		at += a.w.between(0, 150*time.Millisecond)
		part := fmt.Sprintf("%s:%d;", body, i)
		text += part
		a.w.after(at, func() { a.happens(func() { a.partly(q, part) }) })
	}
	failure := ""
	if a.w.rng.IntN(8) == 0 {
		failure = "I cannot"
	}
	last := fmt.Sprintf("%s from %s", body, a)
	if failure == "" {
		text += last
	}
	a.said[q] = text
	at += a.w.between(0, 300*time.Millisecond)
	a.w.after(at, func() {
		a.happens(func() {
			if !a.stop[q] {
				a.step(func() []machine.Effect { return a.node.Answered(a.w.now, q, []byte(last), failure) })
			}
		})
	})
}

func (a *actor) partly(q wire.QuestionID, part string) {
	if !a.stop[q] {
		a.step(func() []machine.Effect { return a.node.Partly(a.w.now, q, []byte(part)) })
	}
}

func (a *actor) Stop(q wire.QuestionID) { a.stop[q] = true }

func (a *actor) Deliver(seq uint64, book *ledger.Ledger, events []ledger.Event, done bool) {
	for _, q := range a.w.asks {
		if q.by == a && q.seq == seq {
			q.delivered(book, events, done)
			return
		}
	}
}
