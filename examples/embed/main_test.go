package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain is also the Go peer's main.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "peer" {
		peer(os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

// page collects what the program and its peer print.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func tell(t *testing.T, peer []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out := new(page)
	require.NoError(t, run(ctx, out, peer), out.text.String())
	for _, line := range []string{
		"the bridge listens on tcp://127.0.0.1:",
		"the prompter panicked and was restarted",
		`"calculator" says: hello`,
		"the peer hears: welcome, calculator",
		"for 6 times 7, it answers: 42",
		"killed process ",
		"/calculator (AddressTerminated), ",
		"all of it happened",
	} {
		require.Contains(t, out.text.String(), line)
	}
}

func TestStoryWithPython(t *testing.T) {
	if err := exec.Command(python, "-c", "import zmq").Run(); err != nil {
		t.Skipf("%s has no pyzmq (%v): on Debian, apt-get install python3-zmq", python, err)
	}
	tell(t, peerCommand(os.Stdout))
}

func TestStoryWithGo(t *testing.T) { tell(t, goPeer()) }

// TestStoryWithoutPeer: the program fails, says why, and leaves nothing behind.
func TestStoryWithoutPeer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.ErrorContains(t, run(ctx, new(page), []string{"/nowhere/peer"}), "the peer does not start")

	over, end := context.WithCancel(ctx)
	end()
	require.ErrorIs(t, run(over, new(page), goPeer()), context.Canceled)
}
