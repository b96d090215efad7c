package host_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/host"
)

// closeAndWait ends a pinned thread and waits for its goroutine.
func closeAndWait(t testing.TB, p *host.Pinned, keep bool) {
	t.Helper()
	p.Close(keep)
	await(t, p.Wait)
}

func comm(tid int) string { return fmt.Sprintf("/proc/self/task/%d/comm", tid) }

// awaitThreadGone returns when the thread has left the process. The kernel sends no event for it, so this looks again
// and again.
func awaitThreadGone(t testing.TB, tid int) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	deadline := time.After(patience)
	for {
		if _, err := os.Stat(comm(tid)); os.IsNotExist(err) {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			require.FailNow(t, "thread still there", "tid %d", tid)
		}
	}
}

func TestPinnedActorSeesOneThread(t *testing.T) {
	for name, spin := range map[string]int{"sleeping": 0, "spinning": 1000} {
		t.Run(name, func(t *testing.T) {
			system, p := newSystem(t), host.StartPinned(host.PinnedConfig{Name: "slot-1", Spin: spin})
			pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				if _, ok := c.Message().(string); ok {
					c.Respond(syscall.Gettid())
				}
			}, actor.WithMailbox(host.Mailbox(host.MailboxConfig{})), actor.WithDispatcher(p)))
			tids := map[any]int{}
			for range 5000 {
				tid, err := system.Root.RequestFuture(pid, "tid?", patience).Result()
				require.NoError(t, err)
				tids[tid]++
			}
			require.Equal(t, map[any]int{p.TID(): 5000}, tids)
			stop(t, system, pid)
			closeAndWait(t, p, false)
		})
	}
}

func TestPinnedThreadsAreDistinctAndNamed(t *testing.T) {
	const slots = 50
	var inside, out sync.WaitGroup
	inside.Add(slots)
	out.Add(slots)
	var pinned []*host.Pinned
	tids := make(chan int, slots)
	for i := range slots {
		p := host.NewPinned(fmt.Sprintf("slot-%d-of-a-long-name", i))
		pinned = append(pinned, p)
		p.Schedule(func() {
			defer out.Done()
			inside.Done()
			inside.Wait() // all at the same moment
			tids <- syscall.Gettid()
		})
	}
	out.Wait()
	distinct := map[int]bool{}
	for range slots {
		distinct[<-tids] = true
	}
	require.Len(t, distinct, slots)
	name, err := os.ReadFile(comm(pinned[7].TID()))
	require.NoError(t, err)
	require.Equal(t, "slot-7-of-a-lon", strings.TrimSpace(string(name)))
	for _, p := range pinned {
		require.True(t, distinct[p.TID()])
		closeAndWait(t, p, false)
	}
}

func TestPinnedNeverTakesTheMainThread(t *testing.T) {
	require.NotEqual(t, os.Getpid(), mainThreadProbe.tid)
	require.Equal(t, mainThreadProbe.tid, mainThreadProbe.ranOn)
}

func TestClosedThreadIsDestroyedOrKept(t *testing.T) {
	kept, destroyed := host.NewPinned("kept"), host.NewPinned("destroyed")
	// Both hold their threads before one is given back, or the second could get the thread of the first.
	require.NotEqual(t, kept.TID(), destroyed.TID())
	release := make(chan struct{})
	kept.Schedule(func() { <-release })
	kept.Close(true)
	kept.Close(false) // too late: the first Close decides
	close(release)
	await(t, kept.Wait)
	closeAndWait(t, destroyed, false)
	awaitThreadGone(t, destroyed.TID())
	name, err := os.ReadFile(comm(kept.TID()))
	require.NoError(t, err, "the thread that was to be kept is gone")
	require.NotEqual(t, "kept", strings.TrimSpace(string(name)))
}

func TestBlockedPinnedThreadQueuesAndIsReported(t *testing.T) {
	p := host.NewPinned("native")
	entered, release := make(chan struct{}), make(chan struct{})
	p.Schedule(func() {
		close(entered)
		<-release
	})
	receive(t, entered)
	const queued = 10_000
	tids := make(chan int, queued)
	for range queued { // nobody takes them: Schedule must not block
		p.Schedule(func() { tids <- syscall.Gettid() })
	}
	p.Close(false)
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	err := p.Wait(canceled)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, fmt.Sprintf(`pinned thread "native" (tid %d)`, p.TID()))
	select {
	case <-p.Done():
		require.FailNow(t, "done while a call has not returned")
	default:
	}
	close(release)
	await(t, p.Wait)
	require.Len(t, tids, queued)
	for range queued {
		require.Equal(t, p.TID(), <-tids)
	}
}

func TestScheduleAfterCloseStillRuns(t *testing.T) {
	p := host.NewPinned("")
	closeAndWait(t, p, true)
	release, ran := make(chan struct{}), make(chan struct{})
	p.Schedule(func() {
		<-release
		close(ran)
	})
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorContains(t, p.Wait(canceled), "still running: 1", "the stand-in goroutine has an owner too")
	close(release)
	receive(t, ran)
	await(t, p.Wait)
}

func TestWatchOfADeadPinnedActorIsAnswered(t *testing.T) {
	system, p := newSystem(t), host.NewPinned("mortal")
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*actor.Stopped); ok {
			p.Close(false)
		}
	}, actor.WithMailbox(host.Mailbox(host.MailboxConfig{})), actor.WithDispatcher(p)))
	process, _ := system.ProcessRegistry.Get(pid)
	stop(t, system, pid)
	await(t, p.Wait)
	terminated := actor.NewFuture(system, patience)
	process.SendSystemMessage(pid, &actor.Watch{Watcher: terminated.PID()})
	require.NoError(t, terminated.Wait())
	await(t, p.Wait)
}

func TestGoexitOnAPinnedThreadLosesNoWork(t *testing.T) {
	p := host.NewPinned("leaver")
	entered, release, ran := make(chan struct{}), make(chan struct{}), make(chan int, 1)
	p.Schedule(func() {
		close(entered)
		<-release
		runtime.Goexit()
	})
	receive(t, entered)
	p.Schedule(func() { ran <- syscall.Gettid() })
	close(release)
	require.NotEqual(t, p.TID(), receive(t, ran))
	await(t, p.Wait)
	awaitThreadGone(t, p.TID())
}
