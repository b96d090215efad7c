package arch

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBuildWithoutCgoNamesTheRemedy builds the cage of libzmq the way that a
// machine without a C compiler does.
func TestBuildWithoutCgoNamesTheRemedy(t *testing.T) {
	if _, err := os.Stat(root + "/bridge/zmqsock"); err != nil {
		t.Skipf("bridge/zmqsock is not there yet: %v", err)
	}
	build := exec.Command("go", "build", "./bridge/zmqsock")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := build.CombinedOutput()
	require.Error(t, err, "without cgo there is no libzmq, so a build that succeeds binds nothing")
	require.Contains(t, string(output), "CGO_ENABLED", "the output must name the setting to change")
	require.Contains(t, string(output), "libzmq", "the output must name the package to install")
}
