package main

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWorkersAreListed(t *testing.T) {
	h := newHouse(t)
	require.Contains(t, troupe(t, exitOK, h.clients, "worker", "list").err.String(), "no worker is registered")
	one := h.worker(t, "--name", "one", "--slots", "3", "--service", "echo,count", "--label", "zone=b", "--label", "gpu=a100")
	h.worker(t, "--name", "two", "--threads", "shared")
	require.Regexp(t, `^worker +one\nbroker +ipc://\S+\nservices +count echo\nslots +3 \(threads pinned\)\n$`, one.out.String())

	h.hit(t, "count")
	var page workerPage
	troupe(t, exitOK, h.clients, "worker", "list", "-o", "json").read(&page)
	require.Len(t, page.Workers, 2)
	w := page.Workers[0]
	require.Equal(t, []any{"one", 3, "pinned", "go", []string{"count", "echo"}, one.cmd.Process.Pid},
		[]any{w.Name, w.Slots, w.Threads, w.Lang, w.Services, w.PID})
	require.Equal(t, 1, w.Used+page.Workers[1].Used)
	table := troupe(t, exitOK, h.clients, "worker", "list").out.String()
	require.Regexp(t, `(?m)^one +serving +[01]/3 +pinned +go +\S+ +\d+ +\d+ +\S+ +\S+ +count,echo +gpu=a100,zone=b +-$`, table)
}

func TestWorkerTellsWhatItOffersInJSON(t *testing.T) {
	h := newHouse(t)
	w := start(t, h.workers, "worker", "-o", "json", "--service", "echo", "--threads", "shared", "--name", "w")
	var said struct {
		Worker, Broker, Threads string
		Services                []string
		Slots, PID              int
	}
	require.NoError(t, json.Unmarshal([]byte(w.out.await(t, "worker")), &said))
	require.Equal(t, "w", said.Worker)
	require.Equal(t, []string{"echo"}, said.Services)
	require.Equal(t, "shared", said.Threads)
	require.Equal(t, 8, said.Slots)
	require.Equal(t, w.cmd.Process.Pid, said.PID)
}

func TestWorkerComesBeforeItsBroker(t *testing.T) {
	h := newHouse(t)
	endpoint := strings.TrimPrefix(h.workers, workersEnv+"=")
	h.broker.signal(syscall.SIGTERM)
	h.broker.expect(exitOK)
	w := start(t, h.workers, "worker")
	require.Equal(t, "no broker answers at "+endpoint+" yet, still trying: is `troupe broker` running?\n", w.err.await(t, "no broker answers"))
	start(t, "broker", "--client", "tcp://127.0.0.1:0", "--worker", endpoint)
	w.out.await(t, "worker")
	w.signal(os.Interrupt)
	w.expect(exitOK)
}

func TestWorkerThatIsRefused(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--name", "one")
	p := start(t, h.workers, "worker", "--name", "one")
	p.expect(exitFailed)
	require.Contains(t, p.err.String(), "troupe: name-taken (never started): ")
	require.Contains(t, p.err.String(), "next: choose another --name")
	p = start(t, "worker", "--broker", strings.TrimPrefix(h.clients, clientsEnv+"="))
	p.expect(exitFailed)
	require.Contains(t, p.err.String(), "next: name the broker's other endpoint with --broker")
}

func TestWrongUseOfWorker(t *testing.T) {
	for args, says := range map[string]string{
		"--service nobody":                   "--service nobody: no demo service has this name: there are blob, count, doze, echo, fail",
		"--exec cat":                         "--exec without --service",
		"--framing blocks":                   "--framing without --exec",
		"--slots 0":                          "--slots is 0",
		"--slots 70000":                      "from 1 to 65535 are possible",
		"--keep-threads --threads shared":    "leave one of the two out",
		"--threads green":                    `"green" is not possible: use pinned or shared`,
		"--patience 0s":                      "--patience is 0s",
		"--broker tcp://x":                   "tcp://HOST:PORT",
		"--exec cat --service é":             "only printable ASCII",
		"--name " + strings.Repeat("n", 129): "at most 128 are possible",
		"surplus":                            "surplus",
	} {
		p := start(t, append([]string{"worker"}, strings.Fields(args)...)...)
		require.NotEqual(t, exitOK, p.exit(), args)
		require.Contains(t, p.err.String(), says, args)
		require.Equal(t, exitUsage, p.exit(), args)
	}
}

func TestKeptThreadsServeAgain(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--slots", "1", "--keep-threads", "--service", "thread")
	first := troupe(t, exitOK, h.clients, "call", "thread").out.String()
	require.Equal(t, first, troupe(t, exitOK, h.clients, "call", "thread").out.String())
}

func TestCrashesAreLogged(t *testing.T) {
	h := newHouse(t)
	w := h.worker(t, "--service", "panic")
	troupe(t, exitFailed, h.clients, "call", "panic", "ouch")
	line := w.err.await(t, "a service crashed")
	require.Contains(t, line, "panic=ouch")
	require.NotContains(t, line, "stack=")
	w.err.await(t, "\truntime/debug.Stack()\n")

	w = h.worker(t, "--service", "panic", "--name", "json", "--log-format", "json", "--log-level", "debug")
	for !strings.Contains(w.err.String(), `"stack":"`) {
		troupe(t, exitFailed, h.clients, "call", "panic", "ouch")
	}
	w.err.await(t, `"level":"DEBUG"`)
	require.NotContains(t, h.broker.err.String(), "actor system started")
}

// Slots grow while hits find none free, and both are shown.
func TestWorkerSlotsGrow(t *testing.T) {
	h := newHouse(t)
	w := start(t, h.workers, "worker", "--name", "small", "--service", "count", "--slots", "1", "--max-slots", "3")
	w.out.await(t, "slots")
	for range 3 {
		h.hit(t, "count")
	}
	table := troupe(t, exitOK, h.clients, "worker", "list").out.String()
	require.Regexp(t, `(?m)^small +serving +3/3 `, table)
	require.Regexp(t, `(?m)^slots +2 grown, 0 retired`, troupe(t, exitOK, h.clients, "status").out.String())
	p := troupe(t, exitUsage, "worker", "--slots", "4", "--max-slots", "2")
	require.Contains(t, p.err.String(), "--max-slots is 2 with 4 --slots")
}

// A call goes to the broker that has room; commands about one broker say so.
func TestSeveralBrokersOnTheCommandLine(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--service", "upper")
	url := strings.TrimPrefix(h.clients, clientsEnv+"=")
	out := troupe(t, exitOK, "call", "--broker", "tcp://127.0.0.1:1", "--broker", url+"#3", "upper", "hello").out.String()
	require.Equal(t, "HELLO\n", out)
	require.Contains(t, troupe(t, exitUsage, "call", "--broker", url+"#x", "upper").err.String(), `the weight "x" is no whole number`)
	require.Contains(t, troupe(t, exitUsage, "status", "--broker", url+",tcp://127.0.0.1:1").err.String(), "this command is about one")
	require.Contains(t, troupe(t, exitUsage, "call", "--broker", url+","+url, "upper").err.String(), "twice")
}
