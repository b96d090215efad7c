package liveness_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision/liveness"
)

const lease = 10 * time.Second

func tell(v liveness.Verdict, measured, limit time.Duration) []liveness.Effect {
	return []liveness.Effect{{Kind: liveness.Tell, Verdict: v, Measured: measured, Limit: limit}}
}

func TestACallWithoutASignIsStuckOnce(t *testing.T) {
	var c liveness.Call
	c.Begin(time.Second, 0)
	require.Equal(t, 11*time.Second, c.Due(2*time.Second, 0, lease))
	require.Empty(t, c.Ran(11*time.Second-ms, 0, lease, nil))
	require.Equal(t, tell(liveness.Stuck, lease, lease), c.Ran(11*time.Second, 0, lease, nil))
	require.Zero(t, c.Due(12*time.Second, 0, lease))
	for now := 12 * time.Second; now < time.Minute; now += time.Second {
		require.Empty(t, c.Ran(now, 0, lease, nil), "it was told")
	}
	require.Equal(t, liveness.Stuck, c.Told())
	require.Equal(t, tell(liveness.Healthy, 59*time.Second, 0), c.Answer(time.Minute, false, nil))
	require.Equal(t, liveness.Healthy, c.Told())
	require.Empty(t, c.Answer(time.Minute, false, nil))
}

func TestSignsRenewTheLease(t *testing.T) {
	var c liveness.Call
	c.Begin(0, 0)
	for now := 9 * time.Second; now < time.Hour; now += 9 * time.Second {
		require.Empty(t, c.Ran(now, 0, lease, nil))
		c.Renew(now)
	}
	last := 399 * 9 * time.Second
	require.Equal(t, tell(liveness.Stuck, lease, lease), c.Ran(last+lease, 0, lease, nil))
	c.Renew(last + lease + time.Second)
	require.Equal(t, tell(liveness.Healthy, lease+2*time.Second, 0), c.Ran(last+lease+2*time.Second, 0, lease, nil))
	require.Equal(t, tell(liveness.Stuck, lease, lease), c.Ran(last+2*lease+time.Second, 0, lease, nil), "it fell silent again")
}

func TestADeclaredLeaseIsOfItsCallAlone(t *testing.T) {
	var c liveness.Call
	c.Begin(0, 0)
	c.Declare(time.Second, time.Minute)
	c.Declare(2*time.Second, 20*time.Second) // never shortened
	require.Empty(t, c.Ran(61*time.Second, 0, lease, nil))
	other := c
	require.Equal(t, tell(liveness.Stuck, time.Minute, time.Minute), other.Ran(62*time.Second, 0, lease, nil))
	c.Turn(liveness.StampOf(63*time.Second), 0)
	require.Equal(t, tell(liveness.Stuck, lease, lease), c.Ran(73*time.Second, 0, lease, nil))
	require.Empty(t, c.Ran(time.Hour, 0, 0, nil), "no limit, no verdict")
}

func TestACallOverItsBudgetIsSlowOnce(t *testing.T) {
	var c liveness.Call
	c.Begin(0, 5*time.Second)
	c.Renew(4 * time.Second)
	require.Empty(t, c.Ran(4*time.Second, 0, lease, nil))
	require.Equal(t, tell(liveness.Slow, 5*time.Second, 5*time.Second), c.Ran(5*time.Second, 0, lease, nil))
	require.Empty(t, c.Ran(6*time.Second, 0, lease, nil))
	require.Equal(t, tell(liveness.Stuck, lease, lease), c.Ran(14*time.Second, 0, lease, nil), "slow, then no sign either")
}

func TestAnErrorIsSaid(t *testing.T) {
	var c liveness.Call
	c.Begin(0, 0)
	require.Equal(t, tell(liveness.SaidError, 2*time.Second, 0), c.Answer(2*time.Second, true, nil))
}

func TestAPauseOfTheJudgeIsNoEvidence(t *testing.T) {
	var c liveness.Call
	c.Begin(0, 5*time.Second)
	require.Empty(t, c.Ran(time.Minute, 55*time.Second+ms, lease, nil))
	require.Equal(t, 65*time.Second+ms, c.Due(time.Minute, 55*time.Second+ms, lease))
	require.Equal(t, tell(liveness.Slow, 5*time.Second, 5*time.Second), c.Ran(time.Minute+ms, 55*time.Second+ms, lease, nil))
}

func TestStampsGoRound(t *testing.T) {
	var c liveness.Call
	now := time.Duration(1<<32-1000) * ms
	c.Begin(now, 0)
	require.Empty(t, c.Ran(now+9*time.Second, 0, lease, nil))
	require.Equal(t, tell(liveness.Stuck, lease, lease), c.Ran(now+lease, 0, lease, nil))
}
