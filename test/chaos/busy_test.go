package chaos

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/test/harness"
)

// busyVar says how many calls TestBusy makes.
const busyVar = "CHAOS_BUSY"

// TestBusy makes calls while other processes keep every core busy, and nothing is wrong: nobody may be judged, and no call may fail. Its limits are the defaults of broker,
// worker and client.
func TestBusy(t *testing.T) {
	f := form{Duration: time.Second, Go: 2, Visitors: 12, Patience: 2 * time.Minute, Still: true, Busy: true, CallsAtLeast: 3000}
	if text := os.Getenv(busyVar); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, busyVar)
		f.CallsAtLeast = n
	}
	r := run(t, f, harness.Seed(t))
	if name := os.Getenv(reportVar); name != "" {
		require.NoError(t, r.Write(name))
	}
	t.Logf("%d calls, %d replies, %d verdicts, %d violations, errors %v", r.Calls, r.Replies, r.FalseVerdicts, r.Violations, r.Errors)
	require.Empty(t, r.Errors, "no call fails for want of a processor")
	require.Zero(t, r.Violations, "%v", r.First)
	require.GreaterOrEqual(t, r.Calls, f.CallsAtLeast)
}
