package supervised_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long the workers of these tests may give no pulse.
const limit = "800ms"

// supervised starts a worker in Python under a supervisor.
func supervised(t *testing.T, s *harness.System, lease string) *harness.Process {
	t.Helper()
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "/usr/bin/python3"
	}
	if out, err := exec.Command(python, "-c", "import zmq").CombinedOutput(); err != nil {
		t.Skipf("%s cannot import zmq, so nothing is said about Python: %v: %s (make setup installs it)", python, err, out)
	}
	folder, err := filepath.Abs("../../../examples/python")
	require.NoError(t, err)
	cmd := exec.Command(harness.Binary(t), "supervise", "--log-format", "json", "--pulse", limit, "--backoff", "1ms", "--max-backoff", "1ms", "--",
		python, "-B", "testdata/holds.py", s.Workers, lease)
	cmd.Env = append(os.Environ(), "TROUPE_CONFIG="+os.DevNull, "PYTHONPATH="+folder)
	return s.Process("supervisor", cmd)
}

func call(t *testing.T, c *assigner.Client, body string) error {
	t.Helper()
	reply, err := c.Do(harness.Context(t), "hold", []byte(body))
	if err == nil {
		require.Equal(t, "held", string(reply))
	}
	return err
}

// TestLockThatIsHeld: a worker whose interpreter's lock is held for too long does not come round; it is ended, says so, and another one serves.
func TestLockThatIsHeld(t *testing.T) {
	s := harness.New(t, harness.Config{})
	s.Broker()
	p := supervised(t, s, "0")
	c := s.Client()
	require.NoError(t, call(t, c, "1"))
	require.ErrorIs(t, call(t, c, "3600000"), assigner.ErrWorkerGone)
	s.Expect(harness.Want{Is: "STUCK", By: "supervisor", Value: "no_pulse", Least: 800e6})
	require.NoError(t, call(t, c, "1"), "another one serves")
	p.Signal(syscall.SIGTERM)
	<-p.Done()
	require.NoError(t, p.Err())
}

// TestLockThatIsDeclared: a service that has promised to be long draws no verdict.
func TestLockThatIsDeclared(t *testing.T) {
	s := harness.New(t, harness.Config{})
	s.Broker()
	supervised(t, s, "60")
	require.NoError(t, call(t, s.Client(), "2500"))
	s.ExpectNone()
}

// TestCallThatIsDeclared: so does a call.
func TestCallThatIsDeclared(t *testing.T) {
	s := harness.New(t, harness.Config{})
	s.Broker()
	supervised(t, s, "0")
	require.NoError(t, call(t, s.Client(), "declared 2500"))
	s.ExpectNone()
}
