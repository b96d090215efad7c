package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
)

func TestHitsAreListed(t *testing.T) {
	h := newHouse(t)
	require.Equal(t, "no hit is open\n", troupe(t, exitOK, h.clients, "hit", "list").err.String())
	w := h.worker(t, "--name", "w1")
	c, handle := h.hit(t, "count", "--label", "blue\tmoon")
	c.say("a")
	c.out.await(t, "1")
	h.hit(t, "thread")
	row := h.list(t, "--service", "count")[0]
	require.Equal(t, []any{handle, "count", "w1", "open", w.cmd.Process.Pid, 1, 0, "blue\tmoon"},
		[]any{row.Hit, row.Service, row.Worker, row.State, row.PID, row.Calls, row.Waiting, row.Label})
	require.Positive(t, row.Thread)
	require.NotEmpty(t, row.Actor)
	require.NotEmpty(t, row.Client)
	require.Empty(t, h.list(t, "--worker", "w2"))

	table := strings.Split(troupe(t, exitOK, h.clients, "hit", "list", "--worker", "w1").out.String(), "\n")
	require.Equal(t, strings.Fields("HIT ACTOR SERVICE WORKER PID THREAD CALLS UNDERWAY AGE STATE ROUTE CLIENT LABEL"), strings.Fields(table[0]))
	require.Regexp(t, "^"+handle+` +\S+ +count +w1 +\d+ +\d+ +1 +0 +\S+ +open +routed +\S+ +blue\?moon$`, table[1])
	require.Len(t, table, 4)
}

func TestHitsAreKilled(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	c, handle := h.hit(t, "count")
	other, kept := h.hit(t, "count")
	p := troupe(t, exitFailed, h.clients, "hit", "kill", strings.ToUpper(handle), "zz", "0")
	require.Regexp(t, "^killed "+handle+` \(count at \S+\)`+"\n$", p.out.String())
	require.Equal(t, 2, strings.Count(p.err.String(), "`troupe hit list` shows them\n"), "%s", p.err)
	c.expect(exitFailed) // at once, not at the next line
	require.Contains(t, c.err.String(), "killed (never started)")

	var said struct{ Hits []killed }
	troupe(t, exitFailed, h.clients, "hit", "kill", kept, "zz", "-o", "json").read(&said)
	require.Equal(t, kept, said.Hits[0].Hit)
	require.Empty(t, said.Hits[0].Error)
	require.NotEmpty(t, said.Hits[1].Error)
	other.expect(exitFailed)
}

func TestFindTakesUniquePrefixes(t *testing.T) {
	hits := []machine.HitRow{{Hit: "ab12"}, {Hit: "ab1234"}, {Hit: "cd"}}
	for name, want := range map[string]string{"ab12": "ab12", "ab123": "ab1234", "C": "cd"} {
		row, err := find(hits, name)
		require.NoError(t, err)
		require.Equal(t, want, row.Hit)
	}
	_, err := find(hits, "ab1")
	require.EqualError(t, err, `2 open hits have handles that begin with "ab1", as ab12 and ab1234: write more of it`)
	for _, name := range []string{"", "e"} {
		_, err = find(hits, name)
		require.ErrorContains(t, err, "no open hit")
	}
}

// TestLongListsComeInPages: the broker sends 1,000 rows at once.
func TestLongListsComeInPages(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--threads", "shared", "--slots", "2100", "--service", "echo")
	b := start(t, h.clients, "bench", "--hits", "2050", "--window", "1", "--duration", "1h", "--warm", "0s")
	b.err.await(t, "calling")
	seen := map[string]bool{}
	for _, row := range h.list(t) {
		seen[row.Hit] = true
	}
	require.Len(t, seen, 2050)
	b.signal(os.Interrupt)
	b.expect(exitOK)
}

// A hit whose calls go to the worker itself answers as any other, and is listed with its route.
func TestDirectCallLines(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--name", "w1", "--direct-bind", "tcp://127.0.0.1:0")
	c, handle := h.hit(t, "upper", "--direct")
	c.say("hello")
	c.out.await(t, "HELLO")
	rows := h.list(t)
	require.Len(t, rows, 1)
	require.Equal(t, handle, rows[0].Hit)
	require.Equal(t, "direct", rows[0].Route)
	said := troupe(t, exitUsage, h.clients, "call", "--direct", "upper", "hello")
	require.Contains(t, said.err.String(), "add --hit")
}
