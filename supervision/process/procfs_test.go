package process_test

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func itoa(n int) string { return strconv.Itoa(n) }

func must(b []byte, err error) []byte {
	if err != nil {
		return nil
	}
	return b
}

func hexBit(t *testing.T, mask string, bit int) bool {
	t.Helper()
	n, err := strconv.ParseUint(mask, 16, 64)
	require.NoError(t, err)
	return n>>bit&1 == 1
}

// trappedNot waits until a process ignores SIGTERM.
func trappedNot(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		for line := range strings.Lines(string(must(os.ReadFile("/proc/" + itoa(pid) + "/status")))) {
			if mask, ok := strings.CutPrefix(line, "SigIgn:"); ok {
				return hexBit(t, strings.TrimSpace(mask), int(syscall.SIGTERM)-1)
			}
		}
		return false
	}, 30*time.Second, time.Millisecond)
}

// runs reports whether a process runs whose program's name begins so.
func runs(pid, name string) bool {
	comm, err := os.ReadFile("/proc/" + pid + "/comm")
	stat, _ := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && strings.HasPrefix(string(comm), name) && !strings.Contains(string(stat), ") Z ")
}
