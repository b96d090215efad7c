package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProcessAnswers(t *testing.T) {
	p, err := start(false, "/bin/sh", "-c", `read word number; echo "{\"word\":\"$word\",\"number\":$number}"; read rest`)
	require.NoError(t, err)
	var got struct {
		Word   string
		Number int
	}
	require.NoError(t, p.ask(patient(t), &got, "%s %d", "open", 7))
	require.Equal(t, "open", got.Word)
	require.Equal(t, 7, got.Number)
	require.NoError(t, p.leave())
}

func TestProcessEndsWithItsLastWords(t *testing.T) {
	p, err := start(false, "/bin/sh", "-c", `echo the port is taken >&2; exit 3`)
	require.NoError(t, err)
	_, err = p.line(patient(t))
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "the port is taken")
	require.NoError(t, p.stop(), "it is gone already")
}

func TestProcessIsStopped(t *testing.T) {
	p, err := start(true, "/bin/sh", "-c", `echo there >&2; read word`)
	require.NoError(t, err)
	text, err := p.line(patient(t))
	require.NoError(t, err)
	require.Equal(t, "there", text, "standard error is read too")
	require.NoError(t, p.stop())
	_, err = p.line(patient(t))
	require.ErrorContains(t, err, "terminated")
}

func TestProgramThatIsNotThere(t *testing.T) {
	_, err := start(false, "/nowhere/troupe")
	require.ErrorContains(t, err, "start troupe")
}

func TestFiguresOfAProcess(t *testing.T) {
	used, err := cpu(os.Getpid())
	require.NoError(t, err)
	require.GreaterOrEqual(t, used, tick*0)
	resident, err := memory(os.Getpid(), "VmRSS")
	require.NoError(t, err)
	peak, err := memory(os.Getpid(), "VmHWM")
	require.NoError(t, err)
	require.Greater(t, resident, 1e6)
	require.Greater(t, peak, 1e6)
	_, err = memory(os.Getpid(), "VmNothing")
	require.ErrorContains(t, err, "VmNothing")
	_, err = cpu(0)
	require.Error(t, err)
}
