package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// sentinels are all that the library exports for statuses; TestEverySentinelIsInTheTable keeps the list whole.
var sentinels = map[string]error{
	"ErrUnknownService": assigner.ErrUnknownService, "ErrQueueFull": assigner.ErrQueueFull, "ErrExpired": assigner.ErrExpired,
	"ErrCancelled": assigner.ErrCancelled, "ErrWorkerGone": assigner.ErrWorkerGone, "ErrService": assigner.ErrService, "ErrPanicked": assigner.ErrPanicked,
	"ErrClosed": assigner.ErrClosed, "ErrKilled": assigner.ErrKilled, "ErrBrokerGone": assigner.ErrBrokerGone, "ErrTooLarge": assigner.ErrTooLarge,
	"ErrPeerSlow": assigner.ErrPeerSlow, "ErrDraining": assigner.ErrDraining, "ErrNameTaken": assigner.ErrNameTaken, "ErrRefused": assigner.ErrRefused,
	"ErrInternal": assigner.ErrInternal, "ErrProtocol": assigner.ErrProtocol, "ErrBadBody": assigner.ErrBadBody, "ErrLeaseOver": assigner.ErrLeaseOver,
	"ErrBadToken": assigner.ErrBadToken, "ErrBadPart": assigner.ErrBadPart, "ErrOverCredit": assigner.ErrOverCredit, "ErrSlotTaken": assigner.ErrSlotTaken,
	"ErrStuck": assigner.ErrStuck, "ErrNoMatch": assigner.ErrNoMatch,
	"ErrBadKey": assigner.ErrBadKey, "ErrReplyLost": assigner.ErrReplyLost, "ErrFenced": assigner.ErrFenced,
}

// outcomes are the words of the table's cells.
var outcomes = map[string]assigner.Outcome{
	"finished": assigner.Finished, "never started": assigner.NeverStarted, "unknown": assigner.Unknown, "reply lost": assigner.ReplyLost,
}

// documented is a row of the table of statuses in docs/failures.md.
type documented struct {
	status           wire.Status
	sentinel, python string
	exit             int
	outcomes         []assigner.Outcome
}

func readRoot(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	require.NoError(t, err)
	return string(b)
}

// tableOf returns the cells of the table behind a heading of a document.
func tableOf(t *testing.T, document, heading string) (rows [][]string) {
	t.Helper()
	_, behind, found := strings.Cut(document, heading+"\n")
	require.True(t, found, heading)
	for line := range strings.Lines(behind) {
		switch {
		case strings.HasPrefix(line, "|---"):
			rows = nil // what came before was the head
		case strings.HasPrefix(line, "|"):
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		case len(rows) > 0:
			return rows
		}
	}
	return rows
}

func documentedFailures(t *testing.T) (all []documented) {
	t.Helper()
	for _, row := range tableOf(t, readRoot(t, "docs", "failures.md"), "## Every status") {
		require.Len(t, row, 7, "%v", row)
		d := documented{sentinel: strings.Trim(row[1], "`"), python: row[2]}
		var known bool
		d.status, known = wire.ParseStatus(row[0])
		require.True(t, known, row[0])
		var err error
		d.exit, err = strconv.Atoi(row[3])
		require.NoError(t, err, row[0])
		for _, word := range strings.Split(row[4], ", ") {
			o, known := outcomes[word]
			require.True(t, known, "%s: %q", row[0], word)
			d.outcomes = append(d.outcomes, o)
		}
		require.NotEmpty(t, row[5], row[0])
		require.NotEmpty(t, row[6], row[0])
		all = append(all, d)
	}
	return all
}

func TestEveryStatusIsInTheTableOfFailures(t *testing.T) {
	all := documentedFailures(t)
	require.Len(t, all, wire.Statuses)
	for i, d := range all {
		require.Equal(t, wire.Status(i), d.status, "in the order of the specification")
		err := error(&assigner.Error{Status: d.status})
		for name, sentinel := range sentinels {
			require.Equal(t, name == d.sentinel, errors.Is(err, sentinel), "%v and %s", d.status, name)
		}
		require.Equal(t, d.exit, exitCode(err), "%v", d.status)
		require.Equal(t, d.exit, newFailure(fmt.Errorf("wrapped: %w", err)).Code, "%v", d.status)
	}
}

func TestEverySentinelIsInTheTable(t *testing.T) {
	declared := regexp.MustCompile(`(?m)^\t(Err\w+) += errors\.New`)
	found := 0
	for _, file := range []string{"errors.go", "resume.go"} {
		for _, m := range declared.FindAllStringSubmatch(readRoot(t, "patterns", "assigner", file), -1) {
			require.Contains(t, sentinels, m[1], file)
			found++
		}
	}
	require.Equal(t, len(sentinels), found)
}

func TestPythonHasTheClassesOfTheTable(t *testing.T) {
	source := readRoot(t, "examples", "python", "troupe.py")
	class := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^class (\w+)\((\w+), name="([a-z-]+)"\)`).FindAllStringSubmatch(source, -1) {
		class[m[3]] = "`" + m[1] + "`"
		if m[2] != "TroupeError" {
			class[m[3]] += ", `" + m[2] + "`"
		}
	}
	class["ok"] = class["closed"] // a CLOSED without an error
	require.Contains(t, source, `error = TroupeError.kinds.get(name, ProtocolError)(text, outcome, why)`)
	for _, d := range documentedFailures(t) {
		want := class[d.status.String()]
		if want == "" {
			want = "`ProtocolError`"
		}
		require.Equal(t, want, d.python, "%v", d.status)
	}
	for word, o := range outcomes {
		require.Regexp(t, `(?m)^    `+strings.ReplaceAll(word, " ", "_")+` = `+strconv.Itoa(int(o))+` `, source)
	}
}

func TestTheTableOfOutcomes(t *testing.T) {
	rows := tableOf(t, readRoot(t, "docs", "failures.md"), "# Failures")
	require.Len(t, rows, len(outcomes))
	for i, row := range rows {
		o := assigner.Outcome(i)
		require.Equal(t, o, outcomes[row[0]])
		require.Equal(t, "`"+strings.ReplaceAll(row[0], " ", "_")+"`", row[2])
		f := newFailure(&assigner.Error{Status: wire.WorkerGone, Outcome: o, Text: "text", Service: "s"})
		require.Equal(t, "`"+f.Outcome+"`", row[3])
		require.Equal(t, "troupe: s: worker-gone ("+f.Outcome+"): text", f.text())
	}
	require.Equal(t, []string{"`Finished`", "`NeverStarted`", "`Unknown`", "`ReplyLost`"}, []string{rows[0][1], rows[1][1], rows[2][1], rows[3][1]})
}

// TestOutcomesInTheCodeAreInTheTable finds where an error is made of a status and an outcome that both stand there.
func TestOutcomesInTheCodeAreInTheTable(t *testing.T) {
	rows := documentedFailures(t)
	pair := regexp.MustCompile(`wire\.([A-Z]\w+), (?:Outcome: )?(?:wire\.)?(Finished|NeverStarted|Unknown|ReplyLost)\b`)
	name := map[string]assigner.Outcome{
		"Finished": assigner.Finished, "NeverStarted": assigner.NeverStarted, "Unknown": assigner.Unknown, "ReplyLost": assigner.ReplyLost,
	}
	constant := regexp.MustCompile(`(?m)^\t(\w+) +Status = (\d+)`)
	number := map[string]int{}
	for _, m := range constant.FindAllStringSubmatch(readRoot(t, "bridge", "wire", "status.go"), -1) {
		number[m[1]], _ = strconv.Atoi(m[2])
	}
	require.Len(t, number, wire.Statuses)
	seen := 0
	for _, dir := range []string{"../../patterns/assigner/*.go", "../../actors/machine/*.go"} {
		files, err := filepath.Glob(dir)
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range pair.FindAllStringSubmatch(string(b), -1) {
				s, known := number[m[1]]
				require.True(t, known, "%s: %s", file, m[0])
				require.True(t, slices.Contains(rows[s].outcomes, name[m[2]]), "%s: %s is not in docs/failures.md", file, m[0])
				seen++
			}
		}
	}
	require.Greater(t, seen, 20, "the pattern has found what there is")
}
