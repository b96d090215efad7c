package machine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner/machine"
)

const second = time.Second

// granted is a lease of three seconds that was asked for at 10 s and granted later.
func granted(t *testing.T) *machine.Lease {
	t.Helper()
	l := &machine.Lease{Length: 3 * second}
	require.Equal(t, []machine.LeaseAction{machine.Renew}, l.Begin(10*second))
	require.False(t, l.Holds(10*second), "nothing is granted yet")
	require.True(t, l.Granted(10*second, l.Nonce()))
	return l
}

func TestALeaseCountsFromWhenItWasAskedFor(t *testing.T) {
	l := granted(t)
	require.Equal(t, 13*second, l.Until())
	require.True(t, l.Holds(13*second-1))
	require.False(t, l.Holds(13*second))
	require.Equal(t, 11*second, l.Deadline(10*second), "it is renewed every third of it")
}

func TestALeaseIsProlongedByLaterAnswersOnly(t *testing.T) {
	l := granted(t)
	first := l.Nonce()
	require.Equal(t, []machine.LeaseAction{machine.Renew}, l.Tick(11*second))
	second11 := l.Nonce()
	require.Equal(t, []machine.LeaseAction{machine.Renew}, l.Tick(12*second))
	require.False(t, l.Granted(12*second, first), "it has been answered")
	require.False(t, l.Granted(12*second, l.Nonce()+1), "nobody asked for it")
	require.Equal(t, 13*second, l.Until())
	require.True(t, l.Granted(12*second, l.Nonce()))
	require.Equal(t, 15*second, l.Until())
	require.False(t, l.Granted(12*second, second11), "an answer that was overtaken shortens nothing")
	require.Equal(t, 15*second, l.Until())
}

func TestALeaseEndsWhenTheBrokerIsSilent(t *testing.T) {
	l := granted(t)
	require.Equal(t, []machine.LeaseAction{machine.Renew}, l.Tick(12500*time.Millisecond))
	require.Equal(t, 13*second, l.Deadline(12500*time.Millisecond), "its end comes before the next question")
	require.Equal(t, []machine.LeaseAction{machine.Expired}, l.Tick(13*second))
	require.False(t, l.Holds(13*second))
	require.Equal(t, []machine.LeaseAction{machine.Renew}, l.Tick(14*second), "its end is told once, and it goes on asking")
	require.True(t, l.Granted(14*second, l.Nonce()))
	require.True(t, l.Holds(17*second-1))
}

// A worker that stood still finds that all has been over for long, whatever lies in its queues.
func TestALeaseAfterAStandstill(t *testing.T) {
	l := granted(t)
	l.Tick(11 * second)
	require.Equal(t, []machine.LeaseAction{machine.Expired, machine.Renew}, l.Tick(60*second))
	require.False(t, l.Granted(60*second, 2), "it was asked for at 11 s")
	require.False(t, l.Holds(60*second))
}

func TestAWorkerWithoutDirectHitsAsksForNothing(t *testing.T) {
	l := granted(t)
	require.Empty(t, l.Begin(10*second), "it is being renewed")
	l.Rest()
	require.Zero(t, l.Deadline(11*second))
	require.Empty(t, l.Tick(60*second), "there is nothing to end")
	require.Equal(t, []machine.LeaseAction{machine.Renew}, l.Begin(61*second))
	none := &machine.Lease{}
	require.Empty(t, none.Begin(second), "a broker that grants nothing is not asked")
}

// A hit that begins long after the last one has ended, or shortly before its lease does, is not ended with that.
func TestTheLeaseOfEarlierHitsDoesNotEndALaterOne(t *testing.T) {
	for _, at := range []time.Duration{12500 * time.Millisecond, 13 * second, 60 * second} {
		l := granted(t)
		l.Rest()
		require.Equal(t, []machine.LeaseAction{machine.Renew}, l.Begin(at))
		require.False(t, l.Holds(at), "nothing is served before LEASE comes")
		require.Empty(t, l.Tick(at+second/2))
		require.True(t, l.Granted(at+second/2, l.Nonce()))
		require.Equal(t, at+3*second, l.Until())
	}
	l := granted(t)
	l.Rest()
	l.Begin(11 * second)
	require.True(t, l.Holds(11*second), "enough is left of it")
	require.Equal(t, []machine.LeaseAction{machine.Expired, machine.Renew}, l.Tick(13*second))
}

func TestALeaseOfALostConnection(t *testing.T) {
	l := granted(t)
	nonce := l.Nonce()
	l.Tick(11 * second)
	l.Lose()
	require.False(t, l.Granted(12*second, nonce+1), "the one who was asked is gone")
	require.True(t, l.Holds(12*second), "what was granted holds: the broker waits for its end")
	require.Zero(t, l.Deadline(12*second))
}
