package process_test

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/supervision/process"
)

func TestMain(m *testing.M) {
	if os.Getenv(parentVar) != "" {
		parent()
	}
	if os.Getenv(pulseVar) != "" {
		pulsing()
	}
	goleak.VerifyTestMain(m)
}

// patient is the safety net of every wait.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func shell(t *testing.T, cfg process.Config, script string) *process.Process {
	t.Helper()
	p, err := process.Start(exec.Command("/bin/sh", "-c", script), cfg)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return p
}

func TestConversation(t *testing.T) {
	p := shell(t, process.Config{Name: "parrot", Input: true, Lines: true}, `while read line; do echo "you said $line"; done; printf bye`)
	require.NoError(t, p.Say("hello"))
	line, err := p.Line(patient(t))
	require.NoError(t, err)
	require.Equal(t, "you said hello", line)
	require.NoError(t, p.Finish(patient(t)))
	line, err = p.Line(patient(t))
	require.NoError(t, err)
	require.Equal(t, "bye", line, "the last line needs no line break")
	_, err = p.Line(patient(t))
	require.ErrorContains(t, err, "parrot")
	require.ErrorContains(t, err, "exit status 0")
	require.NoError(t, p.Err())
	require.NoError(t, p.Say("nobody hears this"))
	require.ErrorIs(t, p.Signal(syscall.SIGTERM), os.ErrProcessDone)
}

func TestLastWords(t *testing.T) {
	p := shell(t, process.Config{Lines: true}, `echo the port is taken >&2; exit 3`)
	_, err := p.Line(patient(t))
	require.ErrorContains(t, err, "sh (process")
	require.ErrorContains(t, err, "exit status 3: the port is taken")
	require.Error(t, p.Err())
}

func TestProgramThatIsNotThere(t *testing.T) {
	_, err := process.Start(exec.Command("/nowhere/troupe"), process.Config{})
	require.ErrorContains(t, err, "start troupe")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestFreeze: a frozen process answers when it is thawed, and not before.
func TestFreeze(t *testing.T) {
	p := shell(t, process.Config{Input: true, Lines: true}, `while read line; do echo "$line"; done`)
	require.NoError(t, p.Freeze(patient(t)))
	require.NoError(t, p.Say("are you there?"))
	at, err := os.ReadFile("/proc/" + pidText(p) + "/stat")
	require.NoError(t, err)
	require.Contains(t, string(at), ") T ", "it stands still, whatever it is sent")
	require.NoError(t, p.Thaw())
	line, err := p.Line(patient(t))
	require.NoError(t, err)
	require.Equal(t, "are you there?", line)
	p.Kill()
	require.ErrorIs(t, p.Freeze(patient(t)), os.ErrProcessDone)
}

// TestFrozenCanBeKilled: SIGTERM does not end it, SIGKILL does.
func TestFrozenCanBeKilled(t *testing.T) {
	p := shell(t, process.Config{}, `sleep 1000`)
	require.NoError(t, p.Freeze(patient(t)))
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Stop(short), context.DeadlineExceeded)
	require.ErrorContains(t, p.Ended(), "killed")
}

func TestStop(t *testing.T) {
	p := shell(t, process.Config{Lines: true, Group: true}, `trap 'echo caught; exit 0' TERM; echo ready; while :; do sleep 0.01; done`)
	line, err := p.Line(patient(t))
	require.NoError(t, err)
	require.Equal(t, "ready", line)
	require.NoError(t, p.Stop(patient(t)))
	require.NoError(t, p.Err())
	line, err = p.Line(patient(t))
	require.NoError(t, err)
	require.Equal(t, "caught", line)
	require.NoError(t, p.Stop(patient(t)), "it is gone already")
}

const parentVar = "TROUPE_PROCESS_PARENT"

// parent starts a child and says its id, then waits to be killed.
func parent() {
	p, err := process.Start(exec.Command("sleep", "1000"), process.Config{})
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString(pidText(p) + "\n")
	select {}
}

// TestNoChildOutlivesItsParent: also when the parent is killed.
func TestNoChildOutlivesItsParent(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), parentVar+"=1")
	p, err := process.Start(cmd, process.Config{Lines: true})
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	child, err := p.Line(patient(t))
	require.NoError(t, err)
	comm, err := os.ReadFile("/proc/" + child + "/comm")
	require.NoError(t, err)
	require.Equal(t, "sleep", strings.TrimSpace(string(comm)))
	p.Kill()
	require.Eventually(t, func() bool {
		comm, err := os.ReadFile("/proc/" + child + "/comm")
		stat, _ := os.ReadFile("/proc/" + child + "/stat")
		return err != nil || strings.TrimSpace(string(comm)) != "sleep" || strings.Contains(string(stat), ") Z ")
	}, 30*time.Second, time.Millisecond)
}

func pidText(p *process.Process) string { return strconv.Itoa(p.PID()) }
