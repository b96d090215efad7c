package process_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/supervision/keeper"
	"github.com/troupe-mq/troupe/supervision/notify"
	"github.com/troupe-mq/troupe/supervision/process"
	"github.com/troupe-mq/troupe/supervision/restart"
	"github.com/troupe-mq/troupe/supervision/why"
)

// record is a line of the log.
type record struct {
	Msg, Signal, Because, Verdict, Why string
	PID                                int
	ExitCode                           int `json:"exit_code"`
	AgainIn                            int `json:"again_in"`
}

// diary is a log that can be waited for.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newDiary() *diary { return &diary{more: make(chan struct{}, 1)} }

func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case d.more <- struct{}{}:
	default:
	}
	return d.text.Write(b)
}

func (d *diary) records(t *testing.T) []record {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []record
	for line := range strings.Lines(d.text.String()) {
		var r record
		require.NoError(t, json.Unmarshal([]byte(line), &r), line)
		all = append(all, r)
	}
	return all
}

// await waits for a record whose message begins so, the nth one.
func (d *diary) await(t *testing.T, begins string, n int) record {
	t.Helper()
	for ctx := patient(t); ; {
		seen := 0
		for _, r := range d.records(t) {
			if strings.HasPrefix(r.Msg, begins) {
				if seen++; seen == n {
					return r
				}
			}
		}
		select {
		case <-d.more:
		case <-ctx.Done():
			require.Fail(t, "no such record", "%q; there are %v", begins, d.records(t))
		}
	}
}

// kept is a Keep under way.
type kept struct {
	t      *testing.T
	diary  *diary
	orders chan os.Signal
	others chan os.Signal
	ready  chan int
	done   chan struct{}
	code   int
	err    error
}

var quick = keeper.Rules{
	Restart: restart.Transient, Intensity: restart.Intensity{Restarts: 3, Window: time.Hour}, Backoff: restart.Backoff{Min: time.Millisecond, Max: time.Millisecond},
	Grace: time.Minute, AtOnce: []int{70},
}

func keep(t *testing.T, rules keeper.Rules, command func() *exec.Cmd) *kept {
	t.Helper()
	k := &kept{t: t, diary: newDiary(), orders: make(chan os.Signal), others: make(chan os.Signal), ready: make(chan int, 10), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(k.done)
		k.code, k.err = process.Keep(ctx, process.KeepConfig{
			Command: command, Rules: rules, Orders: k.orders, Others: k.others, Logger: slog.New(slog.NewJSONHandler(k.diary, nil)),
			OnReady: func(pid int) { k.ready <- pid },
		})
	}()
	t.Cleanup(func() { cancel(); <-k.done })
	return k
}

// ends waits for the end with this code.
func (k *kept) ends(code int) {
	k.t.Helper()
	select {
	case <-k.done:
		require.NoError(k.t, k.err)
		require.Equal(k.t, code, k.code, "%v", k.diary.records(k.t))
	case <-patient(k.t).Done():
		require.Fail(k.t, "it goes on", "%v", k.diary.records(k.t))
	}
}

// script is a command for the shell, in a folder of its own.
func script(t *testing.T, text string) func() *exec.Cmd {
	folder := t.TempDir()
	return func() *exec.Cmd {
		cmd := exec.Command("/bin/sh", "-c", text)
		cmd.Dir = folder
		return cmd
	}
}

// TestKeep: a child is started again after each abnormal end, and how it ended is told.
func TestKeep(t *testing.T) {
	k := keep(t, quick, script(t, `echo x >>runs; case $(wc -l <runs) in 1) kill -9 $$;; 2) exit 70;; 3) exit 3;; *) exit 0;; esac`))
	k.ends(0)
	var ends []record
	for _, r := range k.diary.records(t) {
		if strings.HasPrefix(r.Msg, "the child has ended") {
			require.NotZero(t, r.PID)
			ends = append(ends, r)
		}
	}
	require.Len(t, ends, 4)
	require.Equal(t, "SIGKILL", ends[0].Signal)
	require.Equal(t, 137, ends[0].ExitCode)
	require.Equal(t, 70, ends[1].ExitCode)
	require.Zero(t, ends[1].AgainIn)
	require.Contains(t, ends[1].Because, "asked for it")
	require.Equal(t, 3, ends[2].ExitCode)
	require.Contains(t, ends[3].Msg, "not started again")
}

func TestKeepGivesUp(t *testing.T) {
	k := keep(t, quick, script(t, `exit 9`))
	k.ends(9)
	require.Contains(t, k.diary.await(t, "the child has ended, and", 1).Because, "too often")
	require.Len(t, k.diary.records(t), 8, "four starts, four ends")

	k = keep(t, quick, func() *exec.Cmd { return exec.Command("/nowhere/troupe") })
	k.ends(127)
	k.diary.await(t, "the child could not be started", 1)
}

// TestKeepOrders: the first signal is passed on, and so are others.
func TestKeepOrders(t *testing.T) {
	k := keep(t, quick, script(t, `trap 'echo usr1 >>got' USR1; trap 'kill %1; cat got 2>/dev/null && exit 5; exit 6' TERM; echo $$ >ready; sleep 1000 & while :; do wait; done`))
	pid := k.diary.await(t, "the child is started", 1).PID
	trapped(t, pid, syscall.SIGTERM)
	k.others <- syscall.SIGUSR1
	k.orders <- syscall.SIGTERM
	<-k.done
	require.Contains(t, []int{5, 6}, k.code, "signals of different kinds have no order")
	require.Contains(t, k.diary.await(t, "the child has ended, and", 1).Because, "told to end")
}

// trapped waits until a process handles a signal (SigCgt of proc_pid_status(5)).
func trapped(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	require.Eventually(t, func() bool {
		for line := range strings.Lines(string(must(os.ReadFile(filepath.Join("/proc", itoa(pid), "status"))))) {
			if mask, ok := strings.CutPrefix(line, "SigCgt:"); ok {
				return hexBit(t, strings.TrimSpace(mask), int(s)-1)
			}
		}
		return false
	}, 30*time.Second, time.Millisecond)
}

// TestKeepKills: who does not listen is killed at the third order at the latest.
func TestKeepKills(t *testing.T) {
	k := keep(t, quick, script(t, `trap '' TERM; while :; do sleep 1000; done`))
	trappedNot(t, k.diary.await(t, "the child is started", 1).PID)
	for range 3 {
		k.orders <- syscall.SIGTERM
	}
	k.ends(137)

	short := quick
	short.Grace = time.Millisecond
	k = keep(t, short, script(t, `trap '' TERM; while :; do sleep 1000; done`))
	trappedNot(t, k.diary.await(t, "the child is started", 1).PID)
	for range 2 {
		k.orders <- syscall.SIGTERM
	}
	k.ends(137)
}

// TestKeepFrozen: a child that stands still is killed, with a record of what was measured.
func TestKeepFrozen(t *testing.T) {
	rules := quick
	rules.Frozen = 300 * time.Millisecond
	k := keep(t, rules, script(t, `test -e was && exit 0; touch was; kill -STOP $$`))
	k.ends(0)
	told := k.diary.await(t, "the child is ended: all of the child has been stopped", 1)
	y, err := why.Parse([]byte(told.Why))
	require.NoError(t, err)
	require.Equal(t, "FROZEN", y.Verdict)
	require.GreaterOrEqual(t, y.Values["stopped"], int64(300))
	require.EqualValues(t, 300, y.Limits["stopped"])
	require.Equal(t, "SIGKILL", k.diary.await(t, "the child has ended", 1).Signal)
}

const pulseVar = "TROUPE_PROCESS_PULSE"

// pulsing says that it is ready, gives a pulse once, and no more.
func pulsing() {
	parent := notify.FromEnv()
	if parent.Limit() == 0 {
		os.Exit(9)
	}
	parent.Ready()
	parent.Beat()
	if os.Getenv(pulseVar) == "trigger" {
		parent.Trigger()
	}
	if os.Getenv(notify.SocketVar) != "" {
		os.Exit(10)
	}
	select {}
}

// TestKeepStuck: a child that has given a pulse and gives none is ended so that it says where it is.
func TestKeepStuck(t *testing.T) {
	for _, how := range []string{"silent", "trigger"} {
		t.Run(how, func(t *testing.T) {
			rules := quick
			rules.Pulse, rules.Restart = 300*time.Millisecond, restart.Temporary
			var stacks bytes.Buffer
			k := keep(t, rules, func() *exec.Cmd {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), pulseVar+"="+how, "NOTIFY_SOCKET=@nobody", "WATCHDOG_PID=1")
				cmd.Stderr = &stacks
				return cmd
			})
			require.NotZero(t, <-k.ready)
			k.ends(2)
			told := k.diary.await(t, "the child is ended", 1)
			require.Equal(t, "STUCK", told.Verdict)
			require.Contains(t, stacks.String(), "SIGABRT")
			require.Contains(t, stacks.String(), "process_test.pulsing")
		})
	}
}

// TestKeepFamily: what a child has started and left is gone before the child is started again.
func TestKeepFamily(t *testing.T) {
	folder := t.TempDir()
	k := keep(t, quick, func() *exec.Cmd {
		cmd := exec.Command("/bin/sh", "-c", `test -e pid && exit 0; sleep 1000 & echo $! >pid; exit 1`)
		cmd.Dir = folder
		return cmd
	})
	k.ends(0)
	pid, err := os.ReadFile(filepath.Join(folder, "pid"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !runs(strings.TrimSpace(string(pid)), "sleep") }, 30*time.Second, time.Millisecond)
}

// TestKeepIsLeft: when its context ends nobody is left.
func TestKeepIsLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d := newDiary()
	done := make(chan error)
	go func() {
		_, err := process.Keep(ctx, process.KeepConfig{Command: script(t, "sleep 1000"), Rules: quick, Logger: slog.New(slog.NewJSONHandler(d, nil))})
		done <- err
	}()
	pid := d.await(t, "the child is started", 1).PID
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.False(t, runs(itoa(pid), "s"))
	_, err := process.Keep(ctx, process.KeepConfig{Rules: keeper.Rules{Frozen: -1}})
	require.ErrorContains(t, err, "Frozen")
}
