package pool_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/pool"
	"github.com/troupe-mq/troupe/test/harness"
)

func freePort(t *testing.T) string {
	t.Helper()
	return strings.TrimPrefix(harness.Endpoint(t, "tcp"), "tcp://")
}

// TestCutBetweenHosts: both sides go on with what they reach, the ledger names who is beyond the cut, and after healing all agree again.
func TestCutBetweenHosts(t *testing.T) {
	port := freePort(t)
	there := newCrew(t, 2, func(i int, cfg *pool.Config) {
		cfg.Name, cfg.HostName, cfg.Listen = fmt.Sprint("there", i), "there", port
	})
	link := harness.NewLink(t, "cable", "tcp://"+port)
	here := newCrew(t, 2, func(_ int, cfg *pool.Config) { cfg.Peers = []string{link.Endpoint[len("tcp://"):]} })
	here.sees(4)
	there.sees(4)
	everybody := append(append([]*actor(nil), here.members...), there.members...)
	q := here.begin(everybody...)
	link.Silence()
	here.end(q, map[*actor]string{here.members[0]: "answered", here.members[1]: "answered", there.members[0]: "lost FROZEN", there.members[1]: "lost FROZEN"})
	there.sees(2)
	_, book, err := there.guest.Ask(harness.Context(t), []byte("well?"), pool.Options{}).Collect()
	require.NoError(t, err)
	require.Equal(t, 2, book.Count("answered"))
	require.Equal(t, 2, book.Count("lost"), "those beyond the cut are named")
	link.Heal()
	here.sees(4)
	there.sees(4)
	_, book, err = there.guest.Ask(harness.Context(t), []byte("well?"), pool.Options{}).Collect()
	require.NoError(t, err)
	require.Equal(t, 4, book.Count("answered"))
}

// TestFarMasterIsStopped: its host replaces it, and the question of another host goes on to its end.
func TestFarMasterIsStopped(t *testing.T) {
	port := freePort(t)
	there := newCrew(t, 3, func(i int, cfg *pool.Config) {
		cfg.Name, cfg.HostName, cfg.Listen = fmt.Sprint("there", i), "there", port
	})
	here := newCrew(t, 1, func(_ int, cfg *pool.Config) {
		cfg.Peers, cfg.Silence = []string{port}, 5*silence // so that the other host, on a busy machine, has time to help itself
	})
	here.sees(4)
	q := here.begin(append([]*actor{here.members[0]}, there.members...)...)
	there.members[0].Freeze()
	harness.Receive(t, there.members[0].Done(), "the stopped master to be killed")
	here.end(q, map[*actor]string{here.members[0]: "answered", there.members[0]: "lost KILLED", there.members[1]: "answered", there.members[2]: "answered"})
}
