package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// part finds a part of a tree by the IDs on the way to it; the last one may be the beginning of its ID.
func part(t *testing.T, n *wire.TreeNode, ids ...string) *wire.TreeNode {
	t.Helper()
	for i, id := range ids {
		var found *wire.TreeNode
		for k := range n.Children {
			if c := &n.Children[k]; c.ID == id || i == len(ids)-1 && strings.HasPrefix(c.ID, id) {
				found = c
			}
		}
		require.NotNil(t, found, "%s has no part %s: %v", n.Path, id, n.Children)
		n = found
	}
	return n
}

func TestTree(t *testing.T) {
	h := newHouse(t)
	w := h.worker(t, "--name", "w1", "--service", "count", "--service", "doze")
	_, handle := h.hit(t, "count")
	dozer, _ := h.hit(t, "doze")
	_, err := dozer.stdin.Write([]byte("10s\n"))
	require.NoError(t, err)

	var broker, worker machine.TreeReport
	for _, args := range [][]string{{"tree"}, {"tree", "broker"}} {
		troupe(t, exitOK, append(append([]string{h.clients}, args...), "-o", "json")...).read(&broker)
		require.Equal(t, "running", broker.Tree.State)
		require.True(t, part(t, &broker.Tree, "hits").Supervisor)
		part(t, &broker.Tree, "hits", "")
		part(t, &broker.Tree, "workers", "")
		part(t, &broker.Tree, "broker")
	}
	require.Eventually(t, func() bool {
		worker = machine.TreeReport{}
		troupe(t, exitOK, h.clients, "tree", "worker", "w1", "-o", "json").read(&worker)
		dozing := 0
		for _, c := range part(t, &worker.Tree, "sessions").Children {
			if c.Message == "*wire.Message" {
				dozing++
			}
		}
		return dozing == 1
	}, safety, safety/300, "one of the two is in a call")
	require.Equal(t, "w1", worker.Of)
	require.Zero(t, part(t, &worker.Tree, "sessions", handle).Mailbox)

	table := troupe(t, exitOK, h.clients, "tree", "worker", "w1").out.String()
	require.Regexp(t, `(?m)^\|-- sessions +running`, table)
	require.Regexp(t, `(?m)^\|   \|-- `+handle, table)
	require.Contains(t, troupe(t, exitFailed, h.clients, "tree", "worker", "nobody").err.String(), `no worker has the name "nobody"`)
	require.Contains(t, troupe(t, exitUsage, "tree", "worker").err.String(), "accepts 1 arg")
	w.signal(syscall.SIGSTOP)
	require.Contains(t, troupe(t, exitFailed, h.clients, "tree", "worker", "w1").err.String(), "has not told of its tree within 2s")
	w.signal(syscall.SIGCONT)
}
