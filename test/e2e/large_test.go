package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/test/harness"
)

// growth bounds what a process may grow by while a body of any size passes: a connection's window (4 MiB) in both directions, and what the
// allocator keeps (8 MiB).
const growth = (2*4 + 8) << 20

// peak returns the most memory that a process has had, in bytes.
func peak(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	found := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, found, "%s", status)
	kib, err := strconv.ParseInt(string(found[1]), 10, 64)
	require.NoError(t, err)
	return kib << 10
}

// endless is a body of random bytes, hashed as it is read.
type endless struct {
	source *rand.ChaCha8
	hash   hash.Hash
}

// Read is io.Reader's.
func (e *endless) Read(p []byte) (int, error) {
	n, err := e.source.Read(p)
	_, _ = e.hash.Write(p[:n])
	return n, err
}

// clients are the programs that send their input to a service and print what comes back, by their language.
func clients(t *testing.T, broker, service, route string) map[string]*exec.Cmd {
	t.Helper()
	call := []string{"call", service, "--broker", broker, "--body", "-", "--output", "-", "--timeout", "1h"}
	if route == "direct" {
		call = append(call, "--direct")
	}
	return map[string]*exec.Cmd{
		"go":     exec.CommandContext(t.Context(), harness.Binary(t), call...),
		"python": exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/pipe.py", broker, service, route),
	}
}

// mirrored sends a body through a service that sends it back as it comes, with this client, which is a process of its own. It returns the client's peak.
func mirrored(t *testing.T, cmd *exec.Cmd, size int64) int64 {
	t.Helper()
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	sent, got, highest := &endless{rand.NewChaCha8([32]byte{7}), sha256.New()}, sha256.New(), make(chan int64, 1)
	go func() {
		defer in.Close()
		_, err := io.CopyN(in, sent, size)
		if err == nil {
			highest <- peak(t, cmd.Process.Pid)
		}
		close(highest)
	}()
	n, err := io.Copy(got, out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait(), "%s", &said)
	require.Equal(t, size, n)
	require.Equal(t, sent.hash.Sum(nil), got.Sum(nil), "what comes back is what was sent")
	return <-highest
}

// A body that is larger than all windows together crosses in both directions at once, on both routes, from clients to workers in Go and in Python, and no process on
// its way grows by more than the windows. LARGE=1 makes it 2 GiB (`make large`).
func TestABodyLargerThanAllWindows(t *testing.T) {
	size := int64(192 << 20)
	switch {
	case os.Getenv("LARGE") != "":
		size = 2 << 30
	case testing.Short():
		size = 64 << 20
	}
	s := harness.New(t, harness.Config{})
	b := s.BrokerProcess("b")
	w := s.WorkerProcess("w", "--service", "echo", "--broker", s.Workers, "--direct-bind", "tcp://127.0.0.1:0")
	p := s.Process("python", exec.Command("/usr/bin/python3", "testdata/mirror.py", s.Workers, "tcp://127.0.0.1:0"))
	p.Await("registered")
	workers := map[string]*harness.Process{"echo": w, "mirror": p}
	for _, client := range []string{"go", "python"} {
		for service, worker := range workers {
			for _, route := range []string{"routed", "direct"} {
				t.Run(client+" to "+service+" "+route, func(t *testing.T) {
					small := mirrored(t, clients(t, s.Clients, service, route)[client], 1<<20)
					before, there := peak(t, b.PID()), peak(t, worker.PID())
					large := mirrored(t, clients(t, s.Clients, service, route)[client], size)
					for who, grown := range map[string]int64{"client": large - small, "broker": peak(t, b.PID()) - before, "worker": peak(t, worker.PID()) - there} {
						t.Logf("%s has grown by %.1f MiB for %d MiB", who, float64(grown)/(1<<20), size>>20)
						require.LessOrEqual(t, grown, int64(growth), "%s", who)
					}
				})
			}
		}
	}
}
