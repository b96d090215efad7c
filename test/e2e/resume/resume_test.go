package resume_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
	"github.com/troupe-mq/troupe/test/harness"
)

// TestAKilledClientsHitGoesOnInAnotherProcess: the ticket was stored, the client is killed with calls under way, and another process, also one in the other
// language, goes on with the hit: the same thread, the same count, and all answers.
func TestAKilledClientsHitGoesOnInAnotherProcess(t *testing.T) {
	hold := map[string]func(*testing.T, string) *holder{"go": goHolder, "python": pythonHolder}
	for _, pair := range [][2]string{{"go", "go"}, {"python", "python"}, {"go", "python"}, {"python", "go"}} {
		t.Run(pair[0]+" then "+pair[1], func(t *testing.T) {
			if testing.Short() && pair != [2]string{"go", "go"} {
				t.Skip("the short form is about Go only")
			}
			s := newStage(t)
			first := hold[pair[0]](t, s.Clients)
			thread := first.open(time.Minute)
			first.call("one")
			s.began("one")
			first.replied("one", fmt.Sprintf("1 %d", thread))
			first.call("hold-running")
			s.began("hold-running")
			first.call("waiting")
			s.untilCalls(3)
			ticket := first.ticket()

			first.Kill()
			s.untilState("adrift")
			s.free <- struct{}{} // both are answered while nobody is there
			s.began("waiting")
			second := hold[pair[1]](t, s.Clients)
			require.Equal(t, 2, second.resume(ticket))
			second.replied("#2", fmt.Sprintf("2 %d", thread))
			second.replied("#3", fmt.Sprintf("3 %d", thread))
			second.call("four")
			second.replied("four", fmt.Sprintf("4 %d", thread))
			require.EqualValues(t, 1, s.totals().Resumed)
			second.close()
			require.Equal(t, thread, rig.Receive(t, s.closed, "the session's close"))
			require.Empty(t, s.rows())
		})
	}
}

// TestAConnectionIsCutAndHeals: the client goes on by itself, and each call runs once.
func TestAConnectionIsCutAndHeals(t *testing.T) {
	languages(t, func(t *testing.T, hold func(*testing.T, string) *holder) {
		s := newStage(t)
		link := harness.NewLink(t, "link", s.Clients)
		h := hold(t, link.Endpoint)
		thread := h.open(time.Minute)
		h.call("hold-running")
		s.began("hold-running")
		h.call("waiting")
		s.untilCalls(2)
		link.Refuse()
		s.untilState("adrift")
		h.call("meanwhile")
		s.free <- struct{}{}
		s.began("waiting")
		link.Heal()
		h.replied("hold-running", fmt.Sprintf("1 %d", thread))
		h.replied("waiting", fmt.Sprintf("2 %d", thread))
		h.replied("meanwhile", fmt.Sprintf("3 %d", thread))
		s.began("meanwhile")
		for i := range 3 { // cuts of which nobody is told beforehand
			link.Cut()
			h.call(fmt.Sprint("after-", i))
			h.replied(fmt.Sprint("after-", i), fmt.Sprintf("%d %d", 4+i, thread))
		}
		h.close()
		require.Equal(t, thread, rig.Receive(t, s.closed, "the session's close"))
		require.EqualValues(t, 6, len(s.begun)+3, "no call ran twice")
	})
}

// TestTheLaterOfTwoWins: two processes with one ticket; who has held the hit is told.
func TestTheLaterOfTwoWins(t *testing.T) {
	languages(t, func(t *testing.T, hold func(*testing.T, string) *holder) {
		s := newStage(t)
		first, second := hold(t, s.Clients), hold(t, s.Clients)
		thread := first.open(time.Minute)
		first.call("hold-it")
		s.began("hold-it")
		ticket := first.ticket()
		require.Equal(t, 1, second.resume(ticket))
		first.failed("hold-it", "fenced", assigner.Unknown)
		first.call("too-late")
		first.failed("too-late", "fenced", assigner.NeverStarted)
		s.free <- struct{}{}
		second.replied("#1", fmt.Sprintf("1 %d", thread))
		require.Equal(t, 1, first.resume(ticket), "and back: the answer is kept until it is acknowledged")
		first.replied("#1", fmt.Sprintf("1 %d", thread))
		second.call("too-late")
		second.failed("too-late", "fenced", assigner.NeverStarted)
		first.call("two")
		first.replied("two", fmt.Sprintf("2 %d", thread))
		first.close()
	})
}

// TestMoreThanIsKept: an answer that does not fit is a note, which says that it was given; what came before and after is there.
func TestMoreThanIsKept(t *testing.T) {
	languages(t, func(t *testing.T, hold func(*testing.T, string) *holder) {
		s := newStage(t, kept(1000, time.Minute))
		first := hold(t, s.Clients)
		thread := first.open(time.Minute)
		first.call("hold-small")
		s.began("hold-small")
		first.call("large")
		s.untilCalls(2)
		first.call("last")
		s.untilCalls(3)
		ticket := first.ticket()
		first.Kill()
		s.untilState("adrift")
		s.free <- struct{}{}
		s.began("large")
		s.began("last")
		second := hold(t, s.Clients)
		require.Equal(t, 3, second.resume(ticket))
		second.replied("#1", fmt.Sprintf("1 %d", thread))
		second.failed("#2", "reply-lost", assigner.ReplyLost)
		second.replied("#3", fmt.Sprintf("3 %d", thread))
		second.close()
	})
}

// TestLongerThanIsKept: nobody comes in time, so the hit is over, its session is closed on its thread, and the ticket is void.
func TestLongerThanIsKept(t *testing.T) {
	languages(t, func(t *testing.T, hold func(*testing.T, string) *holder) {
		s := newStage(t, kept(1<<20, 100*time.Millisecond))
		first := hold(t, s.Clients)
		thread := first.open(time.Hour)
		first.call("hold-for-ever")
		s.began("hold-for-ever")
		ticket := first.ticket()
		first.Kill()
		require.Equal(t, thread, rig.Receive(t, s.closed, "the session's close"))
		rig.Until(t, "the slot is free", func() bool { return s.worker.Busy() == 0 })
		require.EqualValues(t, 1, s.totals().Abandoned)
		rig.Until(t, "what was to be told of its end is forgotten", func() bool { return len(s.rows()) == 0 })
		before, second := s.broker.Counters(), hold(t, s.Clients)
		second.void(ticket)
		s.counted("unknown-hit", before)
		second.open(0) // on the slot that is free again
	})
}
