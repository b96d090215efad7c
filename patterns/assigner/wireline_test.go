package assigner_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// wireline is a way to a broker that a test can cut and mend.
type wireline struct {
	endpoint string
	to       string
	listener net.Listener
	done     sync.WaitGroup

	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

func lay(t testing.TB, to string) *wireline {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wireline{endpoint: "tcp://" + l.Addr().String(), to: strings.TrimPrefix(to, "tcp://"), listener: l}
	w.done.Add(1)
	go w.serve()
	t.Cleanup(func() {
		_ = l.Close()
		w.cut()
		w.done.Wait()
	})
	return w
}

func (w *wireline) serve() {
	defer w.done.Done()
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.to)
		w.mu.Lock()
		if err != nil || w.isCut {
			_ = near.Close()
			if far != nil {
				_ = far.Close()
			}
			w.mu.Unlock()
			continue
		}
		w.conns = append(w.conns, near, far)
		w.done.Add(2)
		w.mu.Unlock()
		go w.copy(near, far)
		go w.copy(far, near)
	}
}

func (w *wireline) copy(to, from net.Conn) {
	defer w.done.Done()
	_, _ = io.Copy(to, from)
	_, _ = to.Close(), from.Close()
}

// cut breaks all connections; new ones break at once until mend.
func (w *wireline) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

func (w *wireline) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
}
