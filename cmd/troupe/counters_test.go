package main

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// documentedCounters are the names in the table of docs/cli.md.
func documentedCounters(t *testing.T) map[string]bool {
	t.Helper()
	_, behind, found := strings.Cut(readRoot(t, "docs", "cli.md"), "| counter | counts |\n")
	require.True(t, found)
	table, _, _ := strings.Cut(behind, "\n\n")
	all := map[string]bool{}
	for line := range strings.Lines(table) {
		cells := strings.SplitN(line, "|", 3)
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			all[m[1]] = true
		}
	}
	return all
}

// TestEveryCounterIsDocumented asks a broker that has something to count, and looks into the code for what it had not.
func TestEveryCounterIsDocumented(t *testing.T) {
	known := documentedCounters(t)
	h := newHouse(t, "--grace", "0")
	h.worker(t)
	troupe(t, exitOK, h.clients, "call", "upper", "x")
	troupe(t, exitFailed, h.clients, "call", "nosuch")
	_, counters, found := strings.Cut(troupe(t, exitOK, h.clients, "status").out.String(), "\n\nSERVICE")
	require.True(t, found)
	_, counters, found = strings.Cut(counters, "\n\n")
	require.True(t, found)
	printed := 0
	for line := range strings.Lines(counters) {
		name, _, _ := strings.Cut(line, "  ")
		name = strings.TrimSpace(name)
		if status, is := strings.CutPrefix(name, "refused_"); is && !known[name] {
			_, real := wire.ParseStatus(status)
			require.True(t, real, name)
			name = "refused_STATUS"
		}
		require.True(t, known[name], "docs/cli.md does not say what %q counts", name)
		printed++
	}
	require.Greater(t, printed, 10)

	for _, file := range []string{"patterns/assigner/counters.go"} {
		source := readRoot(t, strings.Split(file, "/")...)
		for _, m := range regexp.MustCompile(`"([a-z]+_[a-z_]*)"`).FindAllStringSubmatch(source, -1) {
			switch m[1] {
			case "refused_":
				m[1] = "refused_STATUS"
			case "handshakes_":
				continue // below
			}
			require.True(t, known[m[1]], "docs/cli.md does not say what %q counts", m[1])
		}
	}
	for why := 1; why < zmqsock.Failures; why++ {
		require.True(t, known["handshakes_"+zmqsock.Failure(why).String()], zmqsock.Failure(why).String())
	}
	for name := range known {
		require.Contains(t, readRoot(t, "cmd", "troupe", "status.go")+readRoot(t, "patterns", "assigner", "counters.go")+failureNames()+"refused_STATUS", name)
	}
}

func failureNames() (all string) {
	for why := 1; why < zmqsock.Failures; why++ {
		all += "handshakes_" + zmqsock.Failure(why).String() + " "
	}
	return all
}

// Errors about a configuration name flags, not the fields of Go.
func TestErrorsNameFlags(t *testing.T) {
	for args, flag := range map[string]string{
		"broker --window 10": "--window", "broker --max-queue -3": "--max-queue", "broker --silence 1ms": "--silence", "broker --max-wait 0s": "--max-wait",
		"worker --slots 0": "--slots", "worker --backlog -1": "--backlog", "worker --slots 2 --max-slots 4 --backlog 1": "--backlog", "worker --slots 4 --max-slots 1": "--max-slots", "worker --slot-idle -1s": "--slot-idle", "bench --self --hits 0": "--hits",
	} {
		said := troupe(t, exitUsage, strings.Fields(args)...).err.String()
		require.Contains(t, said, flag, args)
		require.NotRegexp(t, `Config\b|\b[A-Z][a-z]+[A-Z][a-z]+\b`, said, args)
	}
}

func TestTheLivingAreTold(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--name", "w1")
	c, handle := h.hit(t, "progress", "--progress")
	said := troupe(t, exitOK, h.clients, "hit", "alive", handle[:len(handle)-2]).out.String()
	for _, words := range []string{"hit       " + handle + ", progress, open\n", "worker    w1 is alive: a silence of 3.0s would have been noticed\n", "is alive", "running   nothing\n"} {
		require.Contains(t, said, words)
	}
	require.Regexp(t, `progress  [0-9.]+m?s ago\n$`, said)
	c.say("600")
	c.err.await(t, "step 1 of 600")
	require.Regexp(t, `running   call 1 for [0-9.]+m?s, 0 wait behind it`, troupe(t, exitOK, h.clients, "hit", "alive", handle).out.String())

	said = troupe(t, exitOK, h.clients, "worker", "alive", "w1").out.String()
	require.Contains(t, said, "worker w1, serving, is alive: a silence of 3.0s would have been noticed\n1 slots used, 1 calls running, the last sign of its hits came ")
	require.Regexp(t, `(?m)^`+handle+` +progress +open +1 +\S+ +0 +\S+ +\S+ +alive$`, said)

	var asJSON map[string]any
	troupe(t, exitOK, h.clients, "hit", "alive", handle, "-o", "json").read(&asJSON)
	require.Equal(t, true, asJSON["worker"].(map[string]any)["alive"])
	troupe(t, exitOK, h.clients, "worker", "alive", "w1", "-o", "json").read(&asJSON)
	require.Equal(t, reflect.TypeFor[[]any](), reflect.TypeOf(asJSON["hits"]))

	require.Contains(t, troupe(t, exitFailed, h.clients, "hit", "alive", "zz").err.String(), "troupe hit list")
	require.Contains(t, troupe(t, exitFailed, h.clients, "worker", "alive", "w9").err.String(), `no worker has the name "w9": see `+"`troupe worker list`")
	troupe(t, exitUsage, h.clients, "hit", "alive")
	troupe(t, exitUsage, h.clients, "worker", "alive", "a", "b")
	require.Regexp(t, "^"+handle+"\t", h.completions(t, "hit", "alive", "")[0])
	require.Equal(t, []string{"w1\t1 of 8 slots used"}, h.completions(t, "worker", "alive", ""))
}
