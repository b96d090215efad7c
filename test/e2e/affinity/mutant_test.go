package affinity_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// A proof that cannot fail proves nothing. These workers break the promise, and the proof must say so: a build of this test in which two hits share a
// thread, and slots that have no threads of their own.

const (
	few         = 16
	soonEnough  = 2 * time.Second // for a barrier that can never open
	mutantBuild = "troupe_mutant_sharedslots"
)

func TestTheProofFailsWhereHitsShareThreads(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "mutant.test")
	out, err := exec.Command("go", "test", "-c", "-tags", mutantBuild, "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	found := refute(t, binary, cast{Slots: few, Barrier: few, Limit: soonEnough})
	for _, what := range []string{"found the thread-local value", "the barrier waits for 16 calls, and saw 8 inside it"} {
		require.Contains(t, found, what)
	}
}

func TestTheProofFailsWithoutThreads(t *testing.T) {
	found := refute(t, "", cast{Slots: few, Barrier: few, Limit: soonEnough, Threads: assigner.Goroutines})
	require.Contains(t, found, "OPENED names thread 0")
}

// refute runs the proof against a worker that is wrong and returns what it found.
func refute(t *testing.T, binary string, c cast) string {
	t.Helper()
	site := rig.NewSite(t, rig.TCP)
	site.Broker()
	c.Broker, c.Name = site.Workers, "mutant"
	var p *rig.Process
	if binary == "" {
		p = rig.Spawn(t, "worker", c)
	} else {
		p = rig.SpawnBinary(t, binary, "worker", c)
	}
	p.Await("registered")
	ctx, client, v := rig.Context(t), site.Client(), &violations{}
	crowd(ctx, client, few, 4, v)
	judge(ctx, client, few, v)
	require.NotZero(t, v.count, "the proof has noticed nothing")
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.first, "\n")
}
