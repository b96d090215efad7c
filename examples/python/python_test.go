package python_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPython runs the tests of the Python worker and client, those at a real broker included.
func TestPython(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import zmq").Run(); err != nil {
		t.Skipf("%s has no pyzmq (%v): run make setup", python, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	b, err := assigner.NewBroker(assigner.BrokerConfig{
		Clients: []string{"tcp://127.0.0.1:0"}, Workers: []string{"tcp://127.0.0.1:0"}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, b.Start(ctx))
	defer func() { require.NoError(t, b.Close(context.WithoutCancel(ctx))) }()
	tests := exec.CommandContext(ctx, python, "-m", "unittest", "test_troupe", "test_extensions", "test_direct", "test_tasks")
	tests.Env = append(os.Environ(), "TROUPE_CLIENTS="+b.ClientEndpoints()[0], "TROUPE_WORKERS="+b.WorkerEndpoints()[0], "PYTHONDONTWRITEBYTECODE=1")
	said, err := tests.CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.NotContains(t, string(said), "skipped", "all tests are to run")
	t.Logf("%s", said)
}
