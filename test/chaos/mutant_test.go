package chaos

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/test/harness"
)

// mutantsVar asks for the builds that are wrong on purpose.
const mutantsVar = "CHAOS_MUTANTS"

// A check that cannot fail proves nothing. These brokers and workers break a promise each, and the run must say so.

func TestMutantsAreCaught(t *testing.T) {
	if os.Getenv(mutantsVar) == "" {
		t.Skip("three builds that are wrong on purpose take a minute: make chaos does that, or " + mutantsVar + "=1")
	}
	calm := form{Duration: 3 * time.Second, Silence: 3 * time.Second, Go: 2, Visitors: 6, Pause: 2 * time.Millisecond, Patience: harness.Patience, Still: true, Forgers: 1}
	frozen := form{
		Duration: 8 * time.Second, Silence: 1500 * time.Millisecond, Go: 3, Visitors: 12, Pause: time.Millisecond, Patience: harness.Patience, OnlyWorkers: "freeze-worker", OnlyKind: "direct",
	}
	for _, mutant := range []struct {
		tag     string
		form    form
		promise string
	}{
		{"troupe_mutant_epoch", calm, "stale"},
		{"troupe_mutant_doubled", calm, "doubled"},
		{"troupe_mutant_lease", frozen, "stale"},
	} {
		t.Run(mutant.tag, func(t *testing.T) {
			f := mutant.form
			f.Binary = filepath.Join(t.TempDir(), "mutant.test")
			out, err := exec.Command("go", "test", "-c", "-tags", mutant.tag, "-o", f.Binary, ".").CombinedOutput()
			require.NoError(t, err, "%s", out)
			r := run(t, f, 1)
			require.NotZero(t, r.Counts[mutant.promise], "the run has noticed nothing: %+v", r)
			t.Logf("caught: %v, first: %+v", r.Counts, r.First[0])
		})
	}
	for name, f := range map[string]form{"calm": calm, "frozen": frozen} {
		t.Run("right build, "+name, func(t *testing.T) {
			r := run(t, f, 1)
			require.Zero(t, r.Violations, "the same run finds nothing where nothing is wrong: %v", r.First)
		})
	}
}
