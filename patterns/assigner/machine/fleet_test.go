package machine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner/machine"
)

// Whatever becomes of the others: while one broker has room, every hit is opened, soon. One-shots run once at most, and once where their broker lives.
func TestNoHitIsLostWhileOneBrokerHasRoom(t *testing.T) {
	quote(t, "It SHALL NOT do so once a call was sent along (`first`): that may have run.")
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(t, "brokers")
		var all []*harbour
		for range n {
			all = append(all, &harbour{latency: time.Millisecond, slots: rapid.IntRange(0, 3).Draw(t, "slots")})
		}
		good := rapid.IntRange(0, n-1).Draw(t, "the one with room")
		all[good].slots = 1 << 20
		s := newSeas(t, all...)
		for i := range all {
			if i != good {
				s.fate(t, i)
			}
		}
		s.start(good)
		s.run(s.now + 10*time.Millisecond)
		for range rapid.IntRange(1, 60).Draw(t, "hits") {
			oneshot := rapid.Bool().Draw(t, "a one-shot")
			s.open(oneshot, time.Duration(rapid.IntRange(0, 3000).Draw(t, "stays ms"))*time.Millisecond)
			s.run(s.now + time.Duration(rapid.IntRange(0, 100).Draw(t, "pause ms"))*time.Millisecond)
		}
		begun := s.now
		s.run(s.now + 30*time.Second)
		for i, v := range s.opens {
			require.True(t, v.done && !v.failed, "open %d of %d (one-shot: %t) came to nothing", i, len(s.opens), v.oneshot)
			require.LessOrEqual(t, v.ran, 1, "a one-shot ran twice")
			require.True(t, !v.oneshot || v.lost || v.ran == 1)
			if !v.oneshot {
				require.Less(t, v.finished-begun, 6*time.Second, "open %d took too long", i)
			}
		}
	})
}

// A hung broker costs its hits one patience, and is avoided from then on; the living ones get their shares.
func TestTheLivingShareTheHits(t *testing.T) {
	for _, hung := range []bool{false, true} {
		a, b, c := &harbour{latency: 100 * time.Microsecond, slots: 1 << 20}, &harbour{latency: 300 * time.Microsecond, slots: 1 << 20}, &harbour{latency: 200 * time.Microsecond, slots: 1 << 20}
		s := newSeas(t, a, b, c)
		for i := range s.brokers {
			s.start(i)
		}
		s.run(s.now + 10*time.Millisecond)
		if hung {
			b.hung = s.now + time.Hour
		}
		for range 10_000 {
			s.open(false, 0)
			s.run(s.now + 100*time.Microsecond)
		}
		s.run(s.now + time.Second)
		living := []*harbour{a, b, c}
		if hung {
			living = []*harbour{a, c}
			require.Zero(t, b.served)
			require.EqualValues(t, 1, s.fleet.Suspects)
		}
		least, most := 10_000, 0
		total := 0
		for _, h := range living {
			least, most, total = min(least, h.served), max(most, h.served), total+h.served
		}
		require.Equal(t, 10_000, total, "none is lost")
		require.LessOrEqual(t, float64(most)/float64(least), 1.1)
	}
}

func TestWeights(t *testing.T) {
	f := machine.NewFleet(patience, 1, 3)
	f.Up(0, 1)
	f.Up(1, 1)
	shares := map[int]int{}
	for range 400 {
		does := machine.NewAttempt(f, false).Start(time.Millisecond)
		require.Len(t, does, 1)
		shares[does[0].Broker]++
	}
	require.Equal(t, map[int]int{0: 100, 1: 300}, shares)
}

func open(i int) machine.Do  { return machine.Do{What: machine.SendOpen, Broker: i, Now: true} }
func queue(i int) machine.Do { return machine.Do{What: machine.SendOpen, Broker: i} }
func ping(i int) machine.Do  { return machine.Do{What: machine.SendPing, Broker: i} }
func take(i int) machine.Do  { return machine.Do{What: machine.CancelOpen, Broker: i} }

var giveUp = machine.Do{What: machine.GiveUp}

func does(d ...machine.Do) []machine.Do { return d }

// two is a fleet of two brokers that have just registered.
func two(now time.Duration) *machine.Fleet {
	f := machine.NewFleet(patience, 1, 1)
	f.Up(0, now)
	f.Up(1, now)
	return f
}

const ms = time.Millisecond

func TestASilentBrokerIsAvoidedUntilItAnswers(t *testing.T) {
	quote(t, "A client that gets no answer to its OPEN, nor to a PING sent after it, for some time (its patience) SHOULD cancel it by its reference and open at another broker, and avoid the silent one until it answers a PING.")
	f := two(1000 * ms)
	a := machine.NewAttempt(f, false)
	require.Equal(t, does(open(0)), a.Start(1000*ms))
	require.Equal(t, 1125*ms, a.Deadline())
	require.Equal(t, does(ping(0)), a.Tick(1125*ms))
	require.Equal(t, 1250*ms, a.Deadline())
	require.Equal(t, does(take(0), open(1)), a.Tick(1250*ms))
	for range 3 {
		require.Equal(t, does(open(1)), machine.NewAttempt(f, false).Start(1300*ms))
	}
	require.True(t, f.Heard(0, 1400*ms), "that is news")
	require.False(t, f.Heard(0, 1401*ms))
	require.Equal(t, does(open(1)), machine.NewAttempt(f, false).Start(1410*ms), "whose turn it was")
	require.Equal(t, does(open(0)), machine.NewAttempt(f, false).Start(1410*ms))
}

// A session may take long to open. While its broker answers, it is waited for.
func TestASlowSessionIsNotASilentBroker(t *testing.T) {
	f := two(1000 * ms)
	a := machine.NewAttempt(f, false)
	require.Equal(t, does(open(0)), a.Start(1000*ms))
	for now := 1125 * ms; now < time.Minute; now = a.Deadline() {
		for _, d := range a.Tick(now) {
			require.Equal(t, ping(0), d)
			f.Heard(0, now+ms)
		}
	}
	require.Zero(t, f.Suspects)
}

func TestWhereAllAreFullTheOpenWaitsAtOneAndAsksTheOthers(t *testing.T) {
	f := two(1000 * ms)
	a := machine.NewAttempt(f, false)
	require.Equal(t, does(open(0)), a.Start(1000*ms))
	require.Equal(t, does(open(1)), a.Refused(1001*ms, 0, wire.QueueFull))
	require.Equal(t, does(queue(1)), a.Refused(1002*ms, 1, wire.QueueFull))
	f.Heard(0, 1100*ms)
	f.Heard(1, 1100*ms)
	require.Empty(t, a.Tick(1127*ms))
	require.Equal(t, does(ping(1), open(0)), a.Tick(1252*ms), "is there room meanwhile?")
	require.Empty(t, a.Refused(1253*ms, 0, wire.QueueFull))
	f.Down(1)
	require.Equal(t, does(queue(0)), a.Refused(1300*ms, 1, wire.BrokerGone), "the one it waited at is gone")
	require.Equal(t, does(giveUp), a.Refused(1301*ms, 0, wire.QueueFull), "nor may it wait there")
}

func TestAOneShotIsSentOnceAndToALivingBroker(t *testing.T) {
	f := two(1000 * ms)
	a := machine.NewAttempt(f, true)
	require.Equal(t, does(ping(0)), a.Start(2001*ms), "it has said nothing for more than a second")
	require.Equal(t, does(ping(1)), a.Tick(2251*ms))
	f.Heard(1, 2252*ms)
	require.Equal(t, does(open(1)), a.Tick(2252*ms))
	require.Zero(t, a.Deadline(), "it cannot be taken back")
	require.Empty(t, a.Tick(time.Hour))
	f.Down(1)
	require.Equal(t, does(ping(0)), a.Refused(time.Hour, 1, wire.BrokerGone), "nobody else is left, and that one was silent")
}

// While all are full a one-shot is tried again and again: where it waited it could not be taken back.
func TestAOneShotWaitsWhereItIs(t *testing.T) {
	f := two(1000 * ms)
	a := machine.NewAttempt(f, true)
	require.Equal(t, does(open(0)), a.Start(1000*ms))
	require.Equal(t, does(open(1)), a.Refused(1001*ms, 0, wire.QueueFull))
	require.Empty(t, a.Refused(1002*ms, 1, wire.SlotTaken))
	require.Equal(t, 1007*ms, a.Deadline())
	require.Equal(t, does(open(1)), a.Tick(1007*ms))
	f.Down(0)
	require.Equal(t, does(queue(1)), a.Refused(1008*ms, 1, wire.QueueFull), "there is one broker left, so it may wait there")
	require.Equal(t, does(giveUp), a.Refused(1009*ms, 1, wire.QueueFull))
}

func TestABrokerThatIsNotThereYet(t *testing.T) {
	f := machine.NewFleet(patience, 1, 1)
	a := machine.NewAttempt(f, false)
	require.Empty(t, a.Start(1000*ms))
	require.Positive(t, a.Deadline())
	f.Up(1, 1500*ms)
	require.Equal(t, does(open(1)), a.Tick(1500*ms))
	require.Equal(t, does(queue(1)), a.Refused(1501*ms, 1, wire.UnknownService), "it may be that its workers have yet to come")
	require.Equal(t, does(giveUp), a.Refused(1502*ms, 1, wire.UnknownService))

	b := machine.NewAttempt(f, false)
	require.Equal(t, does(open(1)), b.Start(1600*ms))
	require.Empty(t, b.Refused(1601*ms, 1, wire.Draining), "the other one may come")
	f.Up(0, 1602*ms)
	require.Equal(t, does(open(0)), b.Tick(1606*ms))
	up, suspect := f.State(0)
	require.True(t, up)
	require.False(t, suspect)
}
