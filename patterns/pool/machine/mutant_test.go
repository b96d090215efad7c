package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/pool/machine"
	"github.com/troupe-mq/troupe/patterns/pool/machine/vote"
)

// TestMutantsAreCaught: a check that cannot fail proves nothing. Each of these Nodes breaks one rule, and the schedules of TestPromises notice.
func TestMutantsAreCaught(t *testing.T) {
	for name, mutant := range map[string]struct {
		faults machine.Faults
		says   string
	}{
		"a vote less than a majority":           {machine.Faults{Vote: vote.Faults{CountShort: true}}, "do not hear"},
		"terms are not checked":                 {machine.Faults{NoTermCheck: true}, "after term|two masters|is asked|which is not hung"},
		"members do not remember what they did": {machine.Faults{Forgetful: true}, "is asked .* twice"},
	} {
		t.Run(name, func(t *testing.T) {
			w := schedules(t, 1, 1000, mutant.faults)
			require.NotNil(t, w, "nothing was noticed")
			require.Regexp(t, mutant.says, w.broken[0])
			t.Logf("caught: %s", w.broken[0])
		})
	}
}
