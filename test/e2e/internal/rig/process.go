package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/troupe-mq/troupe/test/harness"
)

// Process is a child that a test talks with line by line.
type Process = harness.Process

// Spawn starts the test binary in a role, with a configuration that the role reads by Config. It is killed when the test ends.
func Spawn(t testing.TB, role string, config any) *Process {
	t.Helper()
	return harness.Spawn(t, role, "", role, config)
}

// SpawnBinary is Spawn with another binary that knows the role.
func SpawnBinary(t testing.TB, binary, role string, config any) *Process {
	t.Helper()
	return harness.Spawn(t, role, binary, role, config)
}

// SpawnIn is Spawn in a network namespace, which needs root.
func SpawnIn(t testing.TB, namespace, role string, config any) *Process {
	t.Helper()
	return Start(t, role, harness.AsRole(t, exec.Command("ip", "netns", "exec", namespace, os.Args[0]), role, config))
}

// Start starts a command and reads its standard output. It is killed when the test ends.
func Start(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	return harness.Start(t, name, cmd)
}

// Python runs a script with examples/python on its path. The interpreter is PYTHON's, or Debian's; without pyzmq the test is skipped.
func Python(t testing.TB, script string, args ...string) *Process {
	t.Helper()
	return PythonIn(t, "", script, args...)
}

// PythonIn is Python in a network namespace, which needs root; an empty name is this one.
func PythonIn(t testing.TB, namespace, script string, args ...string) *Process {
	t.Helper()
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "/usr/bin/python3"
	}
	if out, err := exec.Command(python, "-c", "import zmq").CombinedOutput(); err != nil {
		t.Skipf("%s cannot import zmq, so nothing is said about Python: %v: %s (make setup installs it)", python, err, out)
	}
	_, here, _, _ := runtime.Caller(0)
	line := append([]string{python, "-B", script}, args...)
	if namespace != "" {
		line = append([]string{"ip", "netns", "exec", namespace}, line...)
	}
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(filepath.Dir(here), "../../../../examples/python"))
	return Start(t, script, cmd)
}
