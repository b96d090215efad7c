package pool

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// TestAReusedPID: a process with the number of a member that began at another time, or is gone, is not that member, and nobody gets a handle to kill it by.
func TestAReusedPID(t *testing.T) {
	me := wire.Record{PID: os.Getpid(), Start: startOf(os.Getpid()), Space: spaceOf()}
	h, err := openHandle(me)
	require.NoError(t, err)
	h.close()
	other := me
	other.Start++
	_, err = openHandle(other)
	require.ErrorIs(t, err, errOther)
	gone := me
	gone.PID = 1 << 30 // beyond what the kernel gives
	_, err = openHandle(gone)
	require.ErrorIs(t, err, errOther)
	elsewhere := me
	elsewhere.Space++
	_, err = openHandle(elsewhere)
	require.ErrorContains(t, err, "another PID namespace")
}
