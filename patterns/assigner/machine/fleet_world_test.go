package machine_test

import (
	"container/heap"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner/machine"
)

const patience = 250 * time.Millisecond

// seas is a client with several brokers, simulated: messages take their time, brokers hang, die, come late and come back.
type seas struct {
	t       require.TestingT
	now     time.Duration
	events  events
	order   int
	fleet   *machine.Fleet
	brokers []*harbour
	opens   []*voyage
}

// harbour is a broker.
type harbour struct {
	latency time.Duration // of a message, each way
	opening time.Duration // how long a session takes to open
	slots   int
	used    int
	life    int           // counts its restarts
	up      bool          // it runs
	hung    time.Duration // until when it stands still
	waits   []*request
	served  int
}

// voyage is an OPEN as its caller sees it.
type voyage struct {
	attempt  *machine.Attempt
	oneshot  bool
	stay     time.Duration // how long the hit holds its slot
	at       map[int]*request
	done     bool
	failed   bool // the attempt gave up
	lost     bool // a one-shot whose outcome is unknown
	ran      int
	finished time.Duration
}

// request is one OPEN on its way.
type request struct {
	v         *voyage
	broker    int
	now       bool
	cancelled bool
	life      int
}

type happening struct {
	at    time.Duration
	order int
	do    func()
}

type events []happening

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(happening)) }
func (e *events) Pop() any {
	x := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return x
}

func newSeas(t require.TestingT, brokers ...*harbour) *seas {
	weights := make([]int, len(brokers))
	for i := range weights {
		weights[i] = 1
	}
	return &seas{t: t, now: time.Minute, fleet: machine.NewFleet(patience, weights...), brokers: brokers}
}

func (s *seas) after(d time.Duration, do func()) {
	s.order++
	heap.Push(&s.events, happening{s.now + d, s.order, do})
}

// run lets everything happen up to a time.
func (s *seas) run(until time.Duration) {
	for len(s.events) > 0 && s.events[0].at <= until {
		e := heap.Pop(&s.events).(happening)
		s.now = e.at
		e.do()
	}
	s.now = until
}

// start makes a broker come up, its registration included.
func (s *seas) start(i int) {
	b := s.brokers[i]
	b.up, b.used, b.waits = true, 0, nil
	b.life++
	life := b.life
	s.atBroker(i, life, func() { s.toClient(i, life, func() { s.fleet.Up(i, s.now); s.news() }) })
}

// die ends a broker; the client notices at once, as for a process that is killed.
func (s *seas) die(i int) {
	b := s.brokers[i]
	if !b.up {
		return
	}
	b.up = false
	b.life++
	s.fleet.Down(i)
	for _, v := range s.opens {
		r := v.at[i]
		if r == nil || v.done {
			continue
		}
		delete(v.at, i)
		if v.oneshot {
			v.done, v.lost = true, true
			continue
		}
		s.do(v, v.attempt.Refused(s.now, i, wire.BrokerGone))
	}
}

// atBroker has a broker handle a message, when it arrives and the broker does not hang.
func (s *seas) atBroker(i, life int, do func()) {
	s.after(s.brokers[i].latency, func() { s.awake(i, life, do) })
}

func (s *seas) awake(i, life int, do func()) {
	b := s.brokers[i]
	if b.life != life {
		return
	}
	if b.hung > s.now {
		s.after(b.hung-s.now, func() { s.awake(i, life, do) })
		return
	}
	do()
}

func (s *seas) toClient(i, life int, do func()) {
	s.after(s.brokers[i].latency, func() {
		if s.brokers[i].life != life {
			return
		}
		if s.fleet.Heard(i, s.now) {
			s.news()
		}
		do()
	})
}

// news wakes all attempts.
func (s *seas) news() {
	for _, v := range s.opens {
		s.tick(v)
	}
}

func (s *seas) tick(v *voyage) {
	if !v.done {
		s.do(v, v.attempt.Tick(s.now))
	}
}

func (s *seas) open(oneshot bool, stay time.Duration) *voyage {
	v := &voyage{attempt: machine.NewAttempt(s.fleet, oneshot), oneshot: oneshot, stay: stay, at: map[int]*request{}}
	s.opens = append(s.opens, v)
	s.do(v, v.attempt.Start(s.now))
	return v
}

// do carries out what an attempt wants, and sees to its deadline.
func (s *seas) do(v *voyage, does []machine.Do) {
	for _, d := range does {
		switch i := d.Broker; d.What {
		case machine.SendOpen:
			s.send(v, d)
		case machine.CancelOpen:
			require.False(s.t, v.oneshot, "a one-shot that was sent is taken back")
			s.cancel(v, i)
		case machine.SendPing:
			life := s.brokers[i].life
			s.atBroker(i, life, func() { s.toClient(i, life, func() {}) })
		case machine.GiveUp:
			v.done, v.failed = true, true
		}
	}
	if at := v.attempt.Deadline(); at > 0 && !v.done {
		s.after(max(at-s.now, 0), func() {
			if now := v.attempt.Deadline(); now == at && at <= s.now {
				s.tick(v)
			}
		})
	}
}

func (s *seas) send(v *voyage, d machine.Do) {
	i := d.Broker
	require.Nil(s.t, v.at[i], "two OPENs under way at one broker")
	require.True(s.t, !v.oneshot || len(v.at) == 0, "a one-shot is sent while it is under way already")
	r := &request{v: v, broker: i, now: d.Now, life: s.brokers[i].life}
	v.at[i] = r
	s.atBroker(i, r.life, func() { s.arrive(r) })
}

func (s *seas) cancel(v *voyage, i int) {
	r := v.at[i]
	require.NotNil(s.t, r)
	delete(v.at, i)
	s.atBroker(i, r.life, func() { r.cancelled = true })
}

// arrive is an OPEN at its broker.
func (s *seas) arrive(r *request) {
	b := s.brokers[r.broker]
	switch {
	case b.used < b.slots:
		s.begin(r)
	case r.now:
		s.toClient(r.broker, r.life, func() {
			if r.v.at[r.broker] == r {
				delete(r.v.at, r.broker)
				s.do(r.v, r.v.attempt.Refused(s.now, r.broker, wire.QueueFull))
			}
		})
	default:
		b.waits = append(b.waits, r)
	}
}

func (s *seas) begin(r *request) {
	b := s.brokers[r.broker]
	b.used++
	if r.v.oneshot {
		r.v.ran++
	}
	leave := func() {
		b.used--
		for len(b.waits) > 0 {
			next := b.waits[0]
			b.waits = b.waits[1:]
			if !next.cancelled {
				s.begin(next)
				return
			}
		}
	}
	s.after(b.opening, func() {
		s.awake(r.broker, r.life, func() {
			if r.cancelled {
				leave()
				return
			}
			s.toClient(r.broker, r.life, func() { s.opened(r) })
			s.after(r.v.stay, func() { s.awake(r.broker, r.life, leave) })
		})
	})
}

// opened is OPENED, or a one-shot's reply: the first one counts.
func (s *seas) opened(r *request) {
	v := r.v
	if v.done || v.at[r.broker] != r {
		return
	}
	v.done, v.finished = true, s.now
	s.brokers[r.broker].served++
	for i := range v.at {
		if i != r.broker {
			s.cancel(v, i)
		}
	}
}

// fate is what may happen to a broker while hits are opened.
func (s *seas) fate(t *rapid.T, i int) {
	at := func(label string) time.Duration {
		return time.Duration(rapid.IntRange(0, 4000).Draw(t, label)) * time.Millisecond
	}
	switch rapid.SampledFrom([]string{"full", "hung", "hangs", "dies", "late", "restarts", "slow", "well"}).Draw(t, "fate") {
	case "full":
		s.brokers[i].slots = 0
		s.start(i)
	case "hung":
		s.start(i)
		s.run(s.now + 100*time.Millisecond)
		s.brokers[i].hung = s.now + 8*time.Second
	case "hangs":
		s.start(i)
		s.after(at("hangs"), func() { s.brokers[i].hung = s.now + at2 })
	case "dies":
		s.start(i)
		s.after(at("dies"), func() { s.die(i) })
	case "late":
		s.after(at("comes"), func() { s.start(i) })
	case "restarts":
		s.start(i)
		s.after(at("dies"), func() { s.die(i) })
		s.after(5*time.Second, func() { s.start(i) })
	case "slow":
		s.brokers[i].latency, s.brokers[i].opening = 60*time.Millisecond, 900*time.Millisecond
		s.start(i)
	default:
		s.start(i)
	}
}

const at2 = 3 * time.Second
