package program

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// long is a patience that no test waits for.
const long = 30 * time.Second

type stage struct {
	Config
	said bytes.Buffer // read it only after the program's end
}

func newStage(t *testing.T, command string) *stage {
	t.Helper()
	s := &stage{Config: Config{Command: command, Patience: long, MaxReply: 1 << 20, Starter: NewStarter()}}
	s.Errors = NewErrors(&s.said)
	t.Cleanup(s.Starter.Close)
	return s
}

func (s *stage) open(t *testing.T) *session {
	t.Helper()
	opened, err := s.Open(t.Context(), &assigner.Opening{Hit: 0xabc, Service: "svc", Thread: 7, Session: []byte(`{"a":1}`)})
	require.NoError(t, err)
	return opened.(*session)
}

func call(ctx context.Context, s *session, body string) (string, error) {
	reply, err := s.Call(ctx, &assigner.Call{Frames: [][]byte{[]byte(body)}})
	return string(reply), err
}

func requireCall(t *testing.T, s *session, body, want string) {
	t.Helper()
	got, err := call(t.Context(), s, body)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func requireCrash(t *testing.T, s *session, err error, words ...string) {
	t.Helper()
	require.ErrorIs(t, err, assigner.ErrPanicked)
	for _, w := range words {
		require.ErrorContains(t, err, w)
	}
	require.NoError(t, s.Close())
	requireGone(t, s)
}

// requireGone: the process has been taken from the process table.
func requireGone(t *testing.T, s *session) {
	t.Helper()
	<-s.process.gone
	require.ErrorIs(t, syscall.Kill(s.process.cmd.Process.Pid, 0), syscall.ESRCH)
}

func TestLinesAreServedByOneProcess(t *testing.T) {
	s := newStage(t, `while read -r line; do n=$((n+1)); echo "$n $line"; done; echo "the end" >&2`)
	one, other := s.open(t), s.open(t)
	requireCall(t, one, "a", "1 a")
	requireCall(t, one, "b", "2 b")
	requireCall(t, other, "c", "1 c")
	require.NoError(t, one.Close())
	require.NoError(t, other.Close())
	requireGone(t, one)
	require.Equal(t, "[svc abc] the end\n[svc abc] the end\n", s.said.String())
}

func TestBlocksOfAnySize(t *testing.T) {
	s := newStage(t, "exec cat")
	s.Framing = Blocks
	p := s.open(t)
	for _, size := range []int{0, 1, 4096, 1 << 20} {
		body := strings.Repeat("\n", size)
		requireCall(t, p, body, body)
	}
	_, err := call(t.Context(), p, strings.Repeat("x", 1<<20+1))
	requireCrash(t, p, err, "its reply is a block of 1048577 bytes, the limit is 1048576")
}

func TestErrorsOfBlocksKeepTheSession(t *testing.T) {
	s := newStage(t, `for i in 1 2; do head -c 5 >/dev/null; printf '\200\000\000\003bad'; done; cat >/dev/null`)
	s.Framing = Blocks
	p := s.open(t)
	for range 2 {
		_, err := call(t.Context(), p, "x")
		require.EqualError(t, err, "bad")
	}
	require.NoError(t, p.Close())
}

func TestProgramsKnowTheirHit(t *testing.T) {
	p := newStage(t, `read -r line; echo "$TROUPE_SERVICE $TROUPE_HIT $TROUPE_THREAD $TROUPE_SESSION"; read -r line`).open(t)
	requireCall(t, p, "", `svc abc 7 {"a":1}`)
	_ = p.Close() // read fails at the end of the input, and so does the program
}

func TestBodiesThatDoNotFitHarmNothing(t *testing.T) {
	p := newStage(t, "exec cat").open(t)
	_, err := call(t.Context(), p, "a\nb")
	require.ErrorContains(t, err, "--framing blocks")
	require.NotErrorIs(t, err, assigner.ErrPanicked)
	requireCall(t, p, "a", "a")
	require.NoError(t, p.Close())
}

func TestProgramsThatCrash(t *testing.T) {
	for _, c := range []struct{ name, command, says string }{
		{"in a call", `read -r line; echo "no $line" >&2; exit 7`, `the program of this hit ended: exit status 7; its last words: "no x"`},
		{"by a signal", `read -r line; kill -SEGV $$`, "the program of this hit ended: signal: segmentation fault"},
		{"that do not exist", `/no/such/program`, "ended: exit status 127"},
		{"with something left behind", `sleep 1000 & read -r line; exit 3`, "ended: exit status 3"},
		{"that close their output", `read -r line; exec >&-; exec sleep 1000`, "it was killed, or closed its input or output: signal: killed"},
		{"with too long a line", `read -r line; exec tr '\0' x </dev/zero`, "its reply is a line of more than 1048576 bytes; it was ended: signal: killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newStage(t, c.command).open(t)
			_, err := call(t.Context(), p, "x")
			requireCrash(t, p, err, c.says)
		})
	}
}

func TestProgramThatSpeaksUnasked(t *testing.T) {
	p := newStage(t, `echo hello; exec cat`).open(t)
	for len(p.process.replies) == 0 {
		runtime.Gosched()
	}
	_, err := call(t.Context(), p, "x")
	requireCrash(t, p, err, "it answered before it was asked: signal: killed")
}

func TestCancelledCallsInterrupt(t *testing.T) {
	t.Run("a program that goes on", func(t *testing.T) {
		s := newStage(t, `trap 'stop=yes' INT; while read -r line; do
			if [ "$line" = slow ]; then echo slow >&2; until [ "$stop" ]; do sleep 0.01; done; fi; echo "$line"; done`)
		p, ctx := cancelledWhenSaid(t, s)
		_, err := call(ctx, p, "slow")
		require.ErrorIs(t, err, context.Canceled)
		requireCall(t, p, "a", "a")
		require.NoError(t, p.Close())
	})
	t.Run("a program that ends", func(t *testing.T) {
		s := newStage(t, `read -r line; echo slow >&2; exec sleep 1000`)
		p, ctx := cancelledWhenSaid(t, s)
		_, err := call(ctx, p, "slow")
		requireCrash(t, p, err, "it was interrupted, for the call was cancelled or out of time: signal: interrupt")
	})
	t.Run("a program that does not hear", func(t *testing.T) {
		s := newStage(t, `trap '' INT; read -r line; echo slow >&2; sleep 1000; sleep 1000`)
		s.Patience = 20 * time.Millisecond
		p, ctx := cancelledWhenSaid(t, s)
		_, err := call(ctx, p, "slow")
		requireCrash(t, p, err, "it was interrupted", "signal: killed")
	})
}

// cancelledWhenSaid opens a session, and a context that ends when its program says something on standard error.
func cancelledWhenSaid(t *testing.T, s *stage) (*session, context.Context) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	s.Errors = NewErrors(writer(func() { cancel() }))
	return s.open(t), ctx
}

type writer func()

func (w writer) Write(b []byte) (int, error) {
	w()
	return len(b), nil
}

func TestStubbornProgramsAreEnded(t *testing.T) {
	for name, c := range map[string]struct{ command, says string }{
		"at SIGTERM": {`read -r line; echo; exec sleep 1000`, "the program ended badly: signal: terminated"},
		"at SIGKILL": {`trap '' TERM; read -r line; echo; while :; do sleep 1000; done`, "it ended neither with its input nor at SIGTERM: signal: killed"},
		"by itself":  {`read -r line; echo; read -r line; exit 9`, "the program ended badly: exit status 9"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, c.command)
			s.Patience = 50 * time.Millisecond
			p := s.open(t)
			requireCall(t, p, "", "")
			require.ErrorContains(t, p.Close(), c.says)
			requireGone(t, p)
		})
	}
}

func TestStarterTakesItsProgramsAlong(t *testing.T) {
	s := newStage(t, "")
	starter := NewStarter()
	cmd := exec.Command("sleep", "1000")
	require.NoError(t, starter.start(cmd))
	starter.Close()
	require.ErrorContains(t, cmd.Wait(), "signal: killed")
	require.ErrorIs(t, starter.start(exec.Command("true")), errStopping)
	s.Starter = starter
	_, err := s.Open(t.Context(), &assigner.Opening{})
	require.ErrorIs(t, err, errStopping)
}

func TestNoDescriptorIsLeft(t *testing.T) {
	s := newStage(t, "exec cat")
	count := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(all)
	}
	requireRound := func() {
		p := s.open(t)
		requireCall(t, p, "a", "a")
		require.NoError(t, p.Close())
		_, err := (&stage{Config: Config{Command: "true", Starter: s.Starter, Errors: s.Errors}}).Open(t.Context(), &assigner.Opening{Session: []byte("\x00")})
		require.Error(t, err, "an environment with a zero byte cannot be given to a program")
	}
	requireRound()
	before := count()
	for range 5 {
		requireRound()
	}
	require.Equal(t, before, count())
}

func TestLongWordsAreBroken(t *testing.T) {
	s := newStage(t, `head -c 5000 /dev/zero | tr '\0' x >&2; read -r line`)
	p := s.open(t)
	_ = p.Close() // read fails at the end of the input, and so does the program
	require.Equal(t, strings.Repeat("x", 904), p.process.words.last())
	require.Equal(t, "[svc abc] "+strings.Repeat("x", 4096)+"\n[svc abc] "+strings.Repeat("x", 904)+"\n", s.said.String())
}
