package arch

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// header is where Debian's libzmq3-dev puts what the cage of libzmq includes.
const header = "/usr/include/zmq.h"

// TestBuildWithoutCgoNamesTheRemedy builds the cage of libzmq the way that a
// machine without a C compiler does.
func TestBuildWithoutCgoNamesTheRemedy(t *testing.T) {
	output := failedBuild(t, "CGO_ENABLED=0")
	require.Contains(t, output, "CGO_ENABLED", "the output must name the setting to change")
	require.Contains(t, output, "libzmq", "the output must name the package to install")
}

// TestBuildWithoutLibzmqNamesTheRemedy builds with a C compiler that sees the
// system's headers except libzmq's, and a pkg-config that knows no package.
func TestBuildWithoutLibzmqNamesTheRemedy(t *testing.T) {
	if _, err := os.Stat(header); err != nil {
		t.Skipf("can only hide libzmq's header where Debian puts it: %v", err)
	}
	empty := t.TempDir()
	output := failedBuild(t, "CC="+blindCompiler(t), "PKG_CONFIG_LIBDIR="+empty, "PKG_CONFIG_PATH="+empty)
	require.Contains(t, output, "libzmq3-dev", "the output must name the package to install")
}

// failedBuild builds the cage of libzmq in a changed environment and returns
// what the build said; a build that succeeds fails the test.
func failedBuild(t *testing.T, env ...string) string {
	t.Helper()
	if _, err := os.Stat(root + "/bridge/zmqsock"); err != nil {
		t.Skipf("bridge/zmqsock is not there yet: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "./bridge/zmqsock")
	build.Dir = root
	build.Env = append(os.Environ(), env...)
	output, err := build.CombinedOutput()
	require.NoError(t, ctx.Err())
	require.Error(t, err, "the build must fail with %v", env)
	return string(output)
}

// blindCompiler is gcc with an include folder that lacks libzmq's headers. A
// folder per run also keeps the build cache from answering.
func blindCompiler(t *testing.T) string {
	t.Helper()
	include := t.TempDir()
	headers, err := filepath.Glob("/usr/include/*")
	require.NoError(t, err)
	for _, name := range headers {
		if strings.HasPrefix(filepath.Base(name), "zmq") {
			continue
		}
		require.NoError(t, os.Symlink(name, filepath.Join(include, filepath.Base(name))))
	}
	own := gcc(t, "-print-file-name=include")
	arch := "/usr/include/" + gcc(t, "-print-multiarch")
	return "gcc -nostdinc -isystem " + own + " -isystem " + include + " -isystem " + arch
}

func gcc(t *testing.T, question string) string {
	t.Helper()
	answer, err := exec.Command("gcc", question).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(answer))
}
