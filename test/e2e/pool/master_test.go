package pool_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/pool"
	"github.com/troupe-mq/troupe/test/harness"
)

// TestMasterIsKilledInTheMiddle: the next one takes over, and the question goes on to its end.
func TestMasterIsKilledInTheMiddle(t *testing.T) {
	c := newCrew(t, 4, nil)
	c.sees(4)
	q := c.begin(c.members...)
	c.members[0].Kill()
	c.end(q, map[*actor]string{c.members[0]: "lost GONE", c.members[1]: "answered", c.members[2]: "answered", c.members[3]: "answered"})
	_, term := c.master()
	require.EqualValues(t, 2, term)
}

// TestMemberIsKilledInTheMiddle.
func TestMemberIsKilledInTheMiddle(t *testing.T) {
	c := newCrew(t, 3, nil)
	c.sees(3)
	q := c.begin(c.members...)
	c.members[1].Kill()
	c.join(3, nil)
	c.sees(3)
	c.end(q, map[*actor]string{c.members[0]: "answered", c.members[1]: "lost GONE", c.members[2]: "answered", c.members[3]: "late"})
}

// TestStoppedMasterIsKilledByItsMembers: it holds its lock and its port, and says nothing. The others see that, vote, and go on.
func TestStoppedMasterIsKilledByItsMembers(t *testing.T) {
	c := newCrew(t, 4, nil)
	c.sees(4)
	q := c.begin(c.members...)
	c.members[0].Freeze()
	harness.Receive(t, c.members[0].Done(), "the stopped master to be killed")
	book := c.end(q, map[*actor]string{c.members[0]: "lost KILLED", c.members[1]: "answered", c.members[2]: "answered", c.members[3]: "answered"})
	for _, e := range book.Entries {
		if e.Verdict == "KILLED" {
			require.Regexp(t, `\d of 4 living members agreed, 3 were needed`, e.Why)
		}
	}
	require.Equal(t, "stopped", c.finding(t, "KILLED"))
}

// finding returns what the members' records of a verdict on the master say last.
func (c *crew) finding(t *testing.T, verdict string) string {
	t.Helper()
	for _, s := range c.survey() {
		for _, r := range s.Whys {
			if r.Verdict == verdict && strings.HasPrefix(r.Detector, "silence of the master") {
				return r.Measured[strings.LastIndex(r.Measured, ": ")+2:]
			}
		}
	}
	t.Fatalf("nobody has a record of %s", verdict)
	return ""
}

// TestBusyMasterIsKilledByItsMembers: its loop runs in circles, while the rest of its process is well.
func TestBusyMasterIsKilledByItsMembers(t *testing.T) {
	c := newCrew(t, 4, nil)
	c.sees(4)
	c.members[0].Say("hang") // at the next verdict that it gives
	q := c.begin(c.members...)
	c.members[1].Kill()
	harness.Receive(t, c.members[0].Done(), "the busy master to be killed")
	c.end(q, map[*actor]string{c.members[0]: "lost KILLED", c.members[1]: "lost GONE", c.members[2]: "answered", c.members[3]: "answered"})
	require.Equal(t, "busy", c.finding(t, "KILLED"))
}

// TestTwoMembersReport: one alone is no majority, so a hung master is reported, and comes back.
func TestTwoMembersReport(t *testing.T) {
	c := newCrew(t, 2, nil)
	c.sees(2)
	c.members[0].Freeze()
	harness.Until(t, "the report", func() bool { return c.reported("no majority is possible") })
	require.Equal(t, "stopped", c.finding(t, "FROZEN"))
	c.isThere(c.members[0])
	c.members[0].Thaw()
	c.sees(2)
	_, book, err := c.guest.Ask(harness.Context(t), []byte("well?"), pool.Options{}).Collect()
	require.NoError(t, err)
	require.Equal(t, 2, book.Count("answered"))
	_, term := c.master()
	require.EqualValues(t, 1, term)
}

// TestNoKillReports: with three members there would be a majority, and they were told not to.
func TestNoKillReports(t *testing.T) {
	c := newCrew(t, 3, func(_ int, cfg *pool.Config) { cfg.NoKill = true })
	c.sees(3)
	c.members[0].Freeze()
	harness.Until(t, "the report", func() bool { return c.reported("was told not to kill") })
	c.isThere(c.members[0])
	_, book, err := c.guest.Ask(harness.Context(t), []byte("well?"), pool.Options{}).Collect()
	require.NoError(t, err)
	require.Equal(t, 3, book.Count("lost"), "the way to all leads through it, and it stays so: the ledger says that and ends")
	c.members[0].Thaw()
	c.sees(3)
}

func (c *crew) reported(text string) bool {
	// The master does not answer; the others do, past it.
	for _, s := range c.survey() {
		for _, r := range s.Whys {
			if r.Verdict == "FROZEN" && strings.Contains(r.Done, text) {
				return true
			}
		}
	}
	return false
}

func (c *crew) isThere(a *actor) {
	c.t.Helper()
	select {
	case <-a.Done():
		c.t.Fatalf("%s was killed", a.Name())
	default:
	}
}
