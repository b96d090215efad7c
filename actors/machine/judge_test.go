package machine_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// judging is a broker that judges: a silence of 3 s, a call without a sign for 10 s.
func judging(t *testing.T) *theatre {
	t.Helper()
	cfg := config()
	cfg.Judges, cfg.Stuck = true, 10*time.Second
	return newTheatre(t, cfg)
}

// pass lets time pass as on a loop that is never late. Those transports give signs that are not silent.
func (s *theatre) pass(d time.Duration, silent ...*peer) {
	s.t.Helper()
	for end := s.now + d; s.now < end; {
		for _, l := range s.links {
			l.heard = s.now
			for _, p := range silent {
				if p.link == l {
					l.heard = s.since[l]
				}
			}
		}
		step := end - s.now
		if at := s.broker.Deadline(); at > 0 {
			step = min(step, max(at-s.now, time.Millisecond))
		}
		s.tick(step)
		s.run()
	}
}

// freeze makes a transport silent from now on.
func (s *theatre) freeze(p *peer) *peer {
	if s.since == nil {
		s.since = map[*link]time.Duration{}
	}
	s.since[p.link] = s.now
	return p
}

// whys asks the broker for its records.
func (s *theatre) whys(about string) []machine.Why {
	s.t.Helper()
	answer, _ := s.broker.Administer(s.now, machine.AdminRequest{Cmd: "why", About: about}, nil)
	var report machine.WhyReport
	text, err := json.Marshal(answer)
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(text, &report))
	return report.Records
}

func TestASilentWorkerIsFrozen(t *testing.T) {
	quote(t, "is FROZEN: its connection is ended, and its hits are CLOSED with `worker-gone`.")
	s := judging(t)
	c, w, other := s.client(), s.worker("w", 1), s.worker("other", 1)
	h := s.opened(c, w, 1, 0)
	if h.w != w {
		w, other = other, w
	}
	h.call(1, 0)
	name := h.of().Name
	s.pass(5 * time.Second)
	frozen := s.freeze(w)
	s.pass(2900*time.Millisecond, frozen)
	require.False(t, w.gone)
	s.pass(400*time.Millisecond, frozen)
	require.True(t, w.gone)
	require.False(t, other.gone)
	m := c.expect(wire.Closed)
	require.Equal(t, wire.WorkerGone, m.Header.Status)
	y := why(t, m)
	require.Equal(t, []any{"FROZEN", "transport silence", name, int64(3000)}, []any{y.Verdict, y.Detector, y.Worker, y.Limits["silent"]})
	require.LessOrEqual(t, y.Values["silent"], int64(3300))
	require.NotEmpty(t, y.Knob)
	require.Len(t, s.whys(y.Worker), 2, "one of the worker, one of its hit")
	require.Equal(t, "FROZEN", s.whys(y.Hit)[0].Verdict)
	require.Empty(t, s.whys("nobody"))
}

func TestALongerSilenceMayBeAskedFor(t *testing.T) {
	quote(t, "A worker MAY ask for a longer limit by `silence_ms`, never for a shorter one.")
	s := judging(t)
	var all []*peer
	for i, ms := range []int64{0, 100, 20_000} {
		w := s.peer()
		w.ready(wire.ReadyInfo{Name: string(rune('a' + i)), Services: []string{"echo"}, Slots: 1, SilenceMS: ms})
		w.expect(wire.Welcome)
		all = append(all, s.freeze(w))
	}
	s.pass(2900*time.Millisecond, all...)
	require.False(t, all[0].gone || all[1].gone)
	s.pass(300*time.Millisecond, all...)
	require.True(t, all[0].gone && all[1].gone)
	s.pass(16*time.Second, all...)
	require.False(t, all[2].gone)
	s.pass(2*time.Second, all...)
	require.True(t, all[2].gone)
}

func TestAClientIsJudgedByItsPromise(t *testing.T) {
	quote(t, "So is a client that has promised heartbeats by `beat_ms`; the limit is three of them, if that is longer.")
	s := judging(t)
	w := s.worker("w", 3)
	var all []*peer
	for _, hello := range []string{`{"name":"none"}`, `{"name":"one","beat_ms":1000}`, `{"name":"two","beat_ms":2000}`} {
		c := s.peer()
		c.say(wire.Header{Type: wire.Hello}, hello)
		c.expect(wire.Welcome)
		s.opened(c, w, 1, 0)
		all = append(all, s.freeze(c))
	}
	s.pass(3200*time.Millisecond, all...)
	require.Equal(t, []bool{false, true, false}, []bool{all[0].gone, all[1].gone, all[2].gone})
	w.expect(wire.Cancel)
	w.expect(wire.End)
	s.pass(3*time.Second, all...)
	require.Equal(t, []bool{false, true, true}, []bool{all[0].gone, all[1].gone, all[2].gone})
	require.Equal(t, "FROZEN", s.whys("one")[0].Verdict)
}

func TestABrokerThatStoodStillDoesNotJudge(t *testing.T) {
	quote(t, "A broker that stood still itself SHALL NOT hold against its peers what it did not hear meanwhile.")
	s := judging(t)
	c, w := s.client(), s.worker("w", 1)
	h := s.opened(c, w, 1, 0)
	h.call(1, 0)
	s.pass(time.Second)
	silent := s.freeze(w)
	s.tick(time.Hour) // nothing was sent meanwhile, so nothing was answered
	s.run()
	s.pass(2900*time.Millisecond, silent)
	require.False(t, w.gone)
	require.Empty(t, s.notes)
	s.pass(400*time.Millisecond, silent)
	require.True(t, w.gone, "it does not come back either")
}

func TestATransportThatNothingTellsOf(t *testing.T) {
	s := judging(t)
	w := s.freeze(s.worker("w", 1))
	w.mute = true
	s.pass(time.Minute, w)
	require.False(t, w.gone)
}

// stuck is a hit of a service with these terms, whose first call runs and whose second waits.
func stuck(t *testing.T, term wire.Term) (*theatre, *session) {
	t.Helper()
	s := judging(t)
	c, w := s.client(), s.peer()
	w.ready(wire.ReadyInfo{Name: "w", Services: []string{"echo"}, Slots: 1, Terms: map[string]wire.Term{"echo": term}})
	w.expect(wire.Welcome)
	h := s.opened(c, w, 1, 0)
	h.call(1, 0)
	h.call(2, 0)
	w.expect(wire.Call)
	w.expect(wire.Call)
	return s, h
}

func TestAStuckCallIsToldOnce(t *testing.T) {
	quote(t, "A call has a **progress lease**: it is STUCK when its thread has given no sign for the broker's limit")
	s, h := stuck(t, wire.Term{})
	s.pass(9 * time.Second)
	h.worker(wire.Header{Type: wire.Working, Seq: 1})
	h.c.expect(wire.Working)
	s.pass(9900 * time.Millisecond)
	require.Empty(t, s.notes, "WORKING is a sign")
	s.pass(time.Minute)
	require.Len(t, s.notes, 1)
	y := s.notes[0]
	require.Equal(t, []any{"STUCK", "progress lease", "w", uint32(1), int64(10_000)}, []any{y.Verdict, y.Detector, y.Worker, y.Call, y.Limits["no_sign"]})
	require.LessOrEqual(t, y.Values["no_sign"], int64(11_000))
	h.c.silent()
	h.w.silent()
	h.reply(1, 0)
	h.c.expect(wire.Reply)
	s.pass(time.Second)
	require.Equal(t, "HEALTHY", s.notes[1].Verdict)
	s.pass(10 * time.Second)
	require.Len(t, s.notes, 3, "the second one is stuck as well")
	require.Equal(t, uint32(2), s.notes[2].Call)
	h.reply(2, 0)
	s.pass(time.Minute)
	require.Len(t, s.notes, 4, "an idle hit is not judged")
	require.Equal(t, []string{"HEALTHY", "STUCK", "HEALTHY", "STUCK"}, verdictsOf(s.whys("w")))
}

func verdictsOf(all []machine.Why) (names []string) {
	for _, y := range all {
		names = append(names, y.Verdict)
	}
	return names
}

func TestAStuckCallFailsWhereItsServiceWantsThat(t *testing.T) {
	quote(t, "`fail`: its client gets CLOSED (ERROR, where it knows no handle) with `stuck`, the worker CANCEL for all calls and END")
	for name, term := range map[string]wire.Term{"asked": {Repair: "fail"}, "with a lease": {LeaseMS: 20_000}} {
		t.Run(name, func(t *testing.T) {
			s, h := stuck(t, term)
			s.pass(9500 * time.Millisecond)
			h.c.silent()
			s.pass(time.Duration(term.LeaseMS)*time.Millisecond/2 + time.Second)
			m := h.c.expect(wire.Closed)
			require.Equal(t, wire.IsStuck, m.Header.Status)
			require.Equal(t, uint32(2), m.Header.Arg, "who knows what it does when it wakes up")
			require.Equal(t, "STUCK", why(t, m).Verdict)
			h.w.expect(wire.Cancel)
			h.w.expect(wire.End)
			require.Equal(t, 1, s.used(), "its thread is not free")
			s.pass(time.Minute)
			require.Len(t, s.notes, 1)
			h.worker(wire.Header{Type: wire.Error, Status: wire.Cancelled, Seq: 1, Arg: uint32(wire.Unknown)}, "late")
			h.worker(wire.Header{Type: wire.Ended, Arg: 1})
			require.Zero(t, s.used())
			h.c.silent()
		})
	}
}

func TestACallThatIsStuckWhileItsHitCloses(t *testing.T) {
	quote(t, "so it is with a hit that closes in peace, but for END, which it has had.")
	s, h := stuck(t, wire.Term{Repair: "fail"})
	h.client(wire.Header{Type: wire.Close})
	h.w.expect(wire.End)
	s.pass(11 * time.Second)
	require.Equal(t, wire.IsStuck, h.c.expect(wire.Closed).Header.Status)
	h.w.expect(wire.Cancel)
	h.w.silent()
	s.pass(time.Minute)
	require.Len(t, s.notes, 1)
	h.worker(wire.Header{Type: wire.Ended, Status: wire.IsStuck, Arg: 1}, "written off")
	require.Zero(t, s.used(), "the slot is free")
	h.c.silent()
}

// A last call that waits behind the one that is stuck tells its worker nothing before it is read.
func TestAStuckCallBeforeTheLastOne(t *testing.T) {
	s, h := stuck(t, wire.Term{Repair: "fail"})
	h.call(3, wire.Last)
	h.w.expect(wire.Call)
	s.pass(11 * time.Second)
	require.Equal(t, wire.IsStuck, h.c.expect(wire.Closed).Header.Status)
	h.w.expect(wire.Cancel)
	h.w.expect(wire.End)
	h.worker(wire.Header{Type: wire.Ended, Status: wire.IsStuck, Arg: 1}, "written off")
	require.Zero(t, s.used())
	h.c.silent()
}

// A worker may say that a thread of its own is stuck.
func TestAWorkerWritesAThreadOff(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	h := s.opened(c, w, 1, 0)
	h.call(1, 0)
	h.w.expect(wire.Call)
	h.worker(wire.Header{Type: wire.Ended, Status: wire.IsStuck, Arg: 1}, "written off")
	m := h.c.expect(wire.Closed)
	require.Equal(t, []any{wire.IsStuck, uint32(1)}, []any{m.Header.Status, m.Header.Arg})
	w.say(wire.Header{Type: wire.Changed}, `{"slots": 1, "zombies": 1}`)
	require.Equal(t, 1, s.broker.Status(s.now).Zombies)
	w.say(wire.Header{Type: wire.Changed}, `{"slots": 1}`)
	require.Zero(t, s.broker.Status(s.now).Zombies)
	w.say(wire.Header{Type: wire.Changed}, `{"slots": 1, "zombies": -1}`)
	w.expectError(wire.BadFrame, wire.NeverStarted)
}

func TestADeclaredLease(t *testing.T) {
	quote(t, "lengthens the lease of this call, never shortens it. HOLD of a call that is over is dropped.")
	s, h := stuck(t, wire.Term{LeaseMS: 30_000, Repair: "tell"})
	s.pass(29 * time.Second)
	require.Empty(t, s.notes, "`lease_ms` is that of all calls of the service")
	h.worker(wire.Header{Type: wire.Hold, Seq: 1, Arg: 60_000})
	h.worker(wire.Header{Type: wire.Hold, Seq: 1, Arg: 1000})
	h.worker(wire.Header{Type: wire.Hold, Seq: 2, Arg: 3600_000})
	s.pass(59 * time.Second)
	require.Empty(t, s.notes)
	s.pass(3 * time.Second)
	require.Equal(t, int64(60_000), s.notes[0].Limits["no_sign"])
	h.reply(1, 0)
	s.pass(32 * time.Second)
	require.Equal(t, int64(30_000), s.notes[2].Limits["no_sign"], "that lease was the first call's alone")
	h.w.silent()
	h.reply(2, wire.Last)
	h.worker(wire.Header{Type: wire.Hold, Seq: 2, Arg: 1000})
	h.w.silent()
}

func TestAnOpeningThatIsStuck(t *testing.T) {
	s := judging(t)
	c, w := s.client(), s.peer()
	w.ready(wire.ReadyInfo{Name: "w", Services: []string{"echo"}, Slots: 1, Terms: map[string]wire.Term{"echo": {Repair: "fail"}}})
	w.expect(wire.Welcome)
	s.begun(c, w, 7, 0)
	s.pass(11 * time.Second)
	m := c.expectError(wire.IsStuck, wire.NeverStarted)
	require.Equal(t, uint64(7), m.Header.Hit)
	require.Equal(t, "STUCK", why(t, m).Verdict)
}

func TestACallOverItsDeadlineIsSlow(t *testing.T) {
	s := judging(t)
	c, w := s.client(), s.worker("w", 1)
	h := s.opened(c, w, 1, 0)
	h.client(wire.Header{Type: wire.Call, Seq: 1, Arg: 2000}, "question")
	s.pass(3 * time.Second)
	require.Equal(t, []string{"SLOW"}, verdictsOf(s.notes))
	h.reply(1, 0)
	h.client(wire.Header{Type: wire.Call, Seq: 2}, "question")
	s.pass(9 * time.Second)
	require.Len(t, s.notes, 1)
}

func TestTermsAreJudged(t *testing.T) {
	for text, says := range map[string]string{
		`{"nobody":{}}`:              "not among the services",
		`{"echo":{"lease_ms":-1}}`:   "lease_ms of echo is -1",
		`{"echo":{"repair":"pray"}}`: "tell, fail and restart are possible",
	} {
		s := judging(t)
		w := s.peer()
		w.say(wire.Header{Type: wire.Ready}, `{"services":["echo"],"slots":1,"terms":`+text+`}`)
		w.expectError(wire.BadFrame, wire.NeverStarted, says)
	}
}

// hit.md, section 12: TALLY is said "when a call begins where none was under way, and when the hit's thread has given a sign since the last one", and "by it
// calls of direct hits have a progress lease as all others".
func TestADirectCallThatIsStuck(t *testing.T) {
	for name, failing := range map[string]bool{"told": false, "ended": true} {
		t.Run(name, func(t *testing.T) {
			s := judging(t)
			c, w := s.client(), s.peer()
			term := wire.Term{}
			if failing {
				term.Repair = "fail"
			}
			w.ready(wire.ReadyInfo{Name: "w", Services: []string{"echo"}, Slots: 1, Direct: doorway, Terms: map[string]wire.Term{"echo": term}})
			w.expect(wire.Welcome)
			h := s.openedDirect(c, w, 1)
			tally := func(answered uint32, flags wire.Flags) {
				h.worker(wire.Header{Type: wire.Tally, Flags: flags, Seq: answered})
			}
			s.pass(time.Minute)
			require.Empty(t, s.notes, "an idle hit is not judged")
			tally(0, wire.More)
			s.pass(9 * time.Second)
			tally(0, wire.More) // its thread has reported progress
			s.pass(9 * time.Second)
			tally(1, wire.More) // and answered: the next one runs
			s.pass(9900 * time.Millisecond)
			h.worker(wire.Header{Type: wire.Hold, Seq: 4, Arg: 30_000}) // of which TALLY has not told yet
			s.pass(29 * time.Second)
			require.Empty(t, s.notes)
			tally(2, wire.More) // the HOLD has overtaken it
			h.w.silent()
			s.pass(time.Minute)
			require.Len(t, s.notes, 1)
			require.Equal(t, []any{"STUCK", uint32(4), int64(30_000)}, []any{s.notes[0].Verdict, s.notes[0].Call, s.notes[0].Limits["no_sign"]})
			if failing {
				require.Equal(t, wire.IsStuck, c.expect(wire.Closed).Header.Status)
				w.expect(wire.Cancel)
				w.expect(wire.End)
				return
			}
			tally(4, 0)
			s.pass(time.Minute)
			require.Len(t, s.notes, 2)
			require.Equal(t, "HEALTHY", s.notes[1].Verdict)
			c.silent()
		})
	}
}
