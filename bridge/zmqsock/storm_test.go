//go:build cgo

package zmqsock

import (
	"encoding/binary"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// storm sends signals to threads until it is stopped, as Go's preemption does to a thread that stays long in one place.
func storm(threads ...int) (stop func()) {
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			for _, tid := range threads {
				_ = unix.Tgkill(os.Getpid(), tid, syscall.SIGURG)
			}
			select {
			case <-done:
				return
			default:
				runtime.Gosched()
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// Signals interrupt libzmq's calls wherever they are; every message arrives all the same, whole, once and in order.
func TestSignalsLoseNothing(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 20_000
	}
	paths(t, func(t *testing.T, perFrame bool) {
		router, dealer, id := connected(t, "tcp://127.0.0.1:0", perFrame)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		receiver := unix.Gettid()
		sender, sent := make(chan int), make(chan error, 1)
		start := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			sender <- unix.Gettid()
			<-start
			sent <- sendNumbers(router, id, n)
		}()
		stop := storm(receiver, <-sender)
		defer stop()
		close(start)
		next := 0
		dealer.each(n, func(i int) {
			got := dealer.in.Frames(i, nil)
			if len(got) != 3 || int(binary.BigEndian.Uint32(got[0])) != next || len(got[2]) != next%200 {
				t.Fatalf("message %d is damaged or out of order", next)
			}
			next++
		})
		require.NoError(t, <-sent)
	})
}

func sendNumbers(p *party, id []byte, n int) error {
	for i := 0; i < n; {
		for range 64 {
			if i == n {
				break
			}
			p.out.Add(p.Socket, id, false)
			p.out.Append(binary.BigEndian.AppendUint32(nil, uint32(i)))
			p.out.Append(nil)
			p.out.Append(filled(i%200, 's'))
			i++
		}
		if p.out.Send() > 0 {
			return p.out.Err(0)
		}
		p.out.Reset()
	}
	return nil
}

// A signal ends no wait with an error; waits may end early.
func TestSignalsEndNoWaitWithAnError(t *testing.T) {
	router, dealer, _ := connected(t, "tcp://127.0.0.1:0", false)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stop := storm(unix.Gettid())
	defer stop()
	for range 2000 {
		require.NoError(t, router.poll.Wait(50*time.Microsecond))
	}
	dealer.send(nil, message{[]byte("after all that")})
	require.Equal(t, "after all that", string(router.receive(1)[0][1]))
}
