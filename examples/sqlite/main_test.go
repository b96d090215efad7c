package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const python = "/usr/bin/python3"

// needPython skips where there is no Python worker to be had.
func needPython(t *testing.T) {
	t.Helper()
	if said, err := exec.Command(python, "-c", "import zmq, sqlite3").CombinedOutput(); err != nil {
		t.Skipf("%s cannot import zmq, so there is no Python worker (`make setup` installs python3-zmq): %s", python, said)
	}
}

// TestDemo runs the short form of the demo, and checks what it claims from what it has printed.
func TestDemo(t *testing.T) {
	needPython(t)
	var text bytes.Buffer
	cfg := Config{Clients: 16, Transactions: 3, Seed: 7, Python: python, Out: &text, Log: io.Discard}
	report, err := run(t.Context(), cfg)
	require.NoError(t, err, text.String())
	require.Empty(t, report.Broken, text.String())
	require.Contains(t, text.String(), "Every claim holds.")

	// Of the affinity: a line per hit.
	lines := regexp.MustCompile(`(?m)^ +[0-9a-f]+ +sqlite +\S+ +(python|go) +(\d+) +(\d+) +\d+ +\d+ +\d+ +\d+ +(\d+)/(\d+) +(.*)$`).FindAllStringSubmatch(text.String(), -1)
	require.Len(t, lines, 16+8+16, "a hit per client and round, and one for each that was lost")
	lost := 0
	for _, line := range lines {
		require.Equal(t, line[4], line[5], "same thread: %s", line[0])
		require.NotEqual(t, line[2], line[3], "the main thread of a worker process serves no hit: %s", line[0])
		if strings.HasPrefix(line[6], "worker-gone") {
			lost++
			require.Equal(t, "python", line[1])
		} else {
			require.Equal(t, "closed", line[6])
		}
	}
	require.Equal(t, 8, lost)

	// Of the overlap: 16 clients are inside transactions, and two workers have eight each.
	require.Len(t, report.Overlaps, 2)
	for _, o := range report.Overlaps {
		require.Len(t, o.ByProcess, 2)
		for _, n := range o.ByProcess {
			require.Equal(t, 8, n)
		}
	}

	// Of the crash.
	require.Equal(t, 8, report.Crash.Failed)
	require.Equal(t, 8, report.Crash.Untouched)
	o := report.Crash.Outcomes
	require.Equal(t, 1, o["worker-gone (outcome unknown) at COMMIT"])
	require.Equal(t, 7, o["worker-gone (never started) at SELECT"]+o["worker-gone (outcome unknown) at SELECT"], "a SELECT on its way when the process dies may have run: %v", o)
	require.Equal(t, "not committed", report.Crash.Resolution, "a process that stands still commits nothing")
	require.Contains(t, string(report.Crash.Why), `"GONE"`)

	// Of the blobs: two workers, two routes, and both routes between two hosts where there can be two.
	ways := map[bool]int{}
	for _, b := range report.Blobs {
		require.Equal(t, b.SHA256, b.Came)
		ways[b.Network == network]++
	}
	require.Equal(t, 4, ways[false])
	if report.NotApart != "" {
		t.Logf("nothing is said about two hosts: %s", report.NotApart)
	} else {
		require.Equal(t, 2, ways[true])
		require.Contains(t, report.Stranger, "refused (never started)")
	}

	// Of the tables: 64 accounts, a transfer and two entries per payment.
	require.Equal(t, accounts+3*report.Totals.Transfers, report.Tables.Rows)
	require.Greater(t, report.Totals.Transfers, 16)
}

// TestCommand runs the demo as its user does, with -o json.
func TestCommand(t *testing.T) {
	needPython(t)
	var out, said bytes.Buffer
	require.NoError(t, command(t.Context(), []string{"-o", "json", "-clients", "17", "-transactions", "1", "-seed", "9", "-v"}, &out, &said), said.String())
	var report Report
	require.NoError(t, json.Unmarshal(out.Bytes(), &report), out.String())
	require.Equal(t, 2*17, report.Totals.Meant)
	require.Equal(t, report.Totals.Replies, report.Totals.Same)
	require.Equal(t, report.Tables.LedgerSHA256, report.Tables.DatabaseSHA256)
	require.Contains(t, said.String(), "BEGIN", "-v shows every statement")
}

func TestFlagsThatCannotBe(t *testing.T) {
	for flags, want := range map[string]string{
		"-o xml":           `-o is "xml": use text or json`,
		"-clients 15":      "-clients is 15: use at least 16",
		"-transactions 0":  "-transactions is 0: use at least 1",
		"-transactions no": "invalid value",
	} {
		var out, said bytes.Buffer
		require.ErrorContains(t, command(t.Context(), strings.Fields(flags), &out, &said), want)
		require.Empty(t, out.String())
	}
}

// TestAnInterruptedDemoLeavesNothing ends the demo at its worst moment. That no goroutine is left is checked at the end of all tests.
func TestAnInterruptedDemoLeavesNothing(t *testing.T) {
	needPython(t)
	ctx, interrupt := context.WithCancelCause(t.Context())
	said := &trigger{word: "kill -9", pull: func() { interrupt(errInterrupted) }}
	report, err := run(ctx, Config{Clients: 16, Transactions: 3, Seed: 7, Python: python, Out: said, Log: io.Discard})
	require.ErrorIs(t, err, errInterrupted)
	require.Nil(t, report)
	for _, pid := range regexp.MustCompile(`worker     process (\d+)`).FindAllStringSubmatch(said.text.String(), -1) {
		require.NoDirExists(t, "/proc/"+pid[1])
	}
	database := regexp.MustCompile(`database   (\S+)/bank.db:`).FindStringSubmatch(said.text.String())
	require.NotNil(t, database, said.text.String())
	require.NoDirExists(t, database[1])
}

var errInterrupted = errors.New("interrupted by the test")

// trigger is a writer that does something when it reads a word.
type trigger struct {
	text bytes.Buffer
	word string
	pull func()
}

func (w *trigger) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(w.word)) {
		w.pull()
	}
	return w.text.Write(b)
}
