package liveness_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mutants are defects that the tests must notice: in a file, what is there and what takes its place.
var mutants = map[string][3]string{
	"the judge's pauses count":               {"judge.go", "j.since = now", "_ = now"},
	"the judge is never late":                {"judge.go", "late = max(now-j.due, 0)", "late = 0"},
	"the verdict comes without a look":       {"peer.go", "fx = append(fx, Effect{Kind: Look})\n\tcase p.coarse", "p.state = Stopped\n\t\tfx = append(fx, Effect{Kind: Tell, Verdict: Frozen, Measured: now - from, Limit: p.Silence})\n\tcase p.coarse"},
	"what the look has found is lost":        {"peer.go", "p.heard = max(p.heard, at)", "_ = at"},
	"silence without an instrument":          {"peer.go", "at = now // nothing can be said against it", "_ = at"},
	"twice the limit":                        {"peer.go", "due := p.Silence > 0 && now-from >= p.Silence", "due := p.Silence > 0 && now-from >= 2*p.Silence"},
	"a limit is shortened":                   {"peer.go", "e.Limit > p.Silence {", "e.Limit > 0 {"},
	"a beat is no sign":                      {"peer.go", "\tp.got++\n\treturn p.hear(now, e, fx)", "\tp.got++\n\treturn fx"},
	"two verdicts for one fault":             {"peer.go", "Lost: (*Peer).leave", "Lost: (*Peer).lost"},
	"a beat read in a batch is counted once": {"peer.go", "\tp.got++\n\treturn p.hear", "\tif p.heard != now {\n\t\tp.got++\n\t}\n\treturn p.hear"},
	"STUCK is told again and again":          {"call.go", "if c.Sign == Stamp(c.budget) {\n\t\t\treturn fx\n\t\t}", ""},
	"a lease is shortened":                   {"call.go", "max(c.lease&^stuckBit, min(msOf(lease), stuckBit-1))", "min(msOf(lease), stuckBit-1)"},
	"a lease outlives its call":              {"call.go", "c.lease, c.budget = 0, budgetMS", "c.budget = budgetMS"},
	"a call is judged on a pause":            {"call.go", "silent := min(c.Sign.Ago(now), c.Began.Ago(now), now-since)", "silent := min(c.Sign.Ago(now), c.Began.Ago(now))"},
	"STUCK is never taken back":              {"call.go", "return append(fx, Effect{Kind: Tell, Verdict: Healthy, Measured: was.Ago(now)})", "return fx"},
}

// TestMutants builds the package with each defect in turn and lets the tests run: they must fail, for it would prove nothing that they pass without.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the package once per defect, which takes a minute: run the tests without -short")
	}
	here, err := os.Getwd()
	require.NoError(t, err)
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			source, err := os.ReadFile(m[0])
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(source), m[1]), "the defect's place is not there (any more)")
			defect, overlay := filepath.Join(dir, m[0]), filepath.Join(dir, "overlay.json")
			require.NoError(t, os.WriteFile(defect, []byte(strings.Replace(string(source), m[1], m[2], 1)), 0o600))
			text, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, m[0]): defect}})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(overlay, text, 0o600))
			out, err := exec.Command("go", "test", "-short", "-timeout=20s", "-rapid.nofailfile", "-rapid.shrinktime=1ms", "-overlay", overlay, ".").CombinedOutput()
			require.Error(t, err, "the tests pass with this defect")
			require.Contains(t, string(out), "--- FAIL", "it does not build")
		})
	}
}
