package main

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// poolDir is a run directory; a test's own folder may be too long for a socket.
func poolDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pool") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestPoolOnTheCommandLine: members join and are asked, listed and asked why; who leaves is listed no more.
func TestPoolOnTheCommandLine(t *testing.T) {
	dir := poolDir(t)
	var members []*process
	for _, name := range []string{"anna", "bert"} {
		p := start(t, "pool", "join", "crew", "--run-dir", dir, "--name", name, "--exec", "cat; echo ' from "+name+"'")
		p.out.await(t, "joined   crew as "+name)
		members = append(members, p)
	}
	var ledger struct {
		Complete bool
		Members  []struct{ Name, State, Answer string }
	}
	troupe(t, exitOK, "pool", "ask", "crew", "hello", "--run-dir", dir, "-o", "json").read(&ledger)
	require.True(t, ledger.Complete)
	got := map[string]string{}
	for _, m := range ledger.Members {
		got[m.Name] = m.State + ": " + m.Answer
	}
	require.Equal(t, map[string]string{"anna": "answered: hello from anna\n", "bert": "answered: hello from bert\n"}, got)
	require.Regexp(t, `anna +\w+ +\d+ +master +1`, troupe(t, exitOK, "pool", "members", "crew", "--run-dir", dir).out.String())
	require.Regexp(t, `bert +\d+ +following +1`, troupe(t, exitOK, "pool", "status", "crew", "--run-dir", dir).out.String())
	require.Contains(t, troupe(t, exitOK, "pool", "why", "crew", "--run-dir", dir).err.String(), "no member of this host has given a verdict")
	members[0].signal(syscall.SIGTERM)
	require.Equal(t, exitOK, members[0].exit())
	members[1].err.await(t, "master of the host")
	table := troupe(t, exitOK, "pool", "members", "crew", "--run-dir", dir).out.String()
	require.Regexp(t, `bert +\w+ +\d+ +master +2`, table)
	require.NotContains(t, table, "anna")
}

func TestMistakesWithPools(t *testing.T) {
	dir := poolDir(t)
	for says, words := range map[string][]string{
		`Pool is "bad/name"`: {"pool", "join", "bad/name", "--exec", "true"},
		"Silence":            {"pool", "join", "crew", "--silence", "-1s", "--exec", "true"},
		"--insecure":         {"pool", "join", "crew", "--listen", "0.0.0.0:5790", "--exec", "true"},
		"not a ZeroMQ":       {"pool", "join", "crew", "--peer", "nonsense", "--exec", "true"},
	} {
		p := troupe(t, exitUsage, append(words, "--run-dir", dir)...)
		require.Contains(t, p.err.String(), says)
	}
	p := troupe(t, exitUnreachable, "pool", "ask", "nobody", "x", "--run-dir", dir, "--timeout", "300ms")
	require.Contains(t, p.err.String(), "nobody is in the pool on this host")
}
