package main

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// said is what a program has printed so far.
type said struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// running is one of the programs, or a script.
type running struct {
	t         *testing.T
	name      string
	out       said
	interrupt func()
	ended     chan struct{}
	err       error
}

func begin(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, name: strings.Join(args, " "), interrupt: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = start(ctx, &r.out, args)
	}()
	t.Cleanup(func() { cancel(); <-r.ended })
	return r
}

func python(t *testing.T, script string, args ...string) *running {
	t.Helper()
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import zmq").Run(); err != nil {
		t.Skipf("%s has no pyzmq (%v): run make setup", python, err)
	}
	r := &running{t: t, name: script, ended: make(chan struct{})}
	cmd := exec.Command(python, append([]string{filepath.Join("python", script)}, args...)...)
	cmd.Stdout, cmd.Stderr = &r.out, &r.out
	require.NoError(t, cmd.Start())
	r.interrupt = func() { require.NoError(t, cmd.Process.Signal(syscall.SIGINT)) }
	go func() {
		defer close(r.ended)
		r.err = cmd.Wait()
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-r.ended })
	return r
}

const safety = 30 * time.Second

// says waits until the program has printed a text.
func (r *running) says(text string) *running {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return strings.Contains(r.out.String(), text) }, safety, 5*time.Millisecond, "%s does not say %q, but %s", r.name, text, &r.out)
	return r
}

// ends waits for a good end and returns all that was printed.
func (r *running) ends() string {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(safety):
		require.Fail(r.t, "it does not end", "%s said %s", r.name, &r.out)
	}
	require.NoError(r.t, r.err, "%s said %s", r.name, &r.out)
	return r.out.String()
}

// stops interrupts it.
func (r *running) stops() {
	r.t.Helper()
	r.interrupt()
	require.True(r.t, strings.HasSuffix(r.ends(), "interrupted\n"), "%s said %s", r.name, &r.out)
}

// place returns an endpoint of the test's own.
func place(t *testing.T) string {
	t.Helper()
	return "ipc://" + filepath.Join(t.TempDir(), "s")
}

func TestHello(t *testing.T) {
	at := place(t)
	server := begin(t, "hello-server", at).says("serving")
	require.Equal(t, "message: 1\nmessage: 2\nmessage: 3\n", begin(t, "hello-client", at).ends())
	require.Equal(t, "message: 1\nmessage: 2\n", python(t, "hello_client.py", at, "2").ends())
	server.stops()

	server = python(t, "hello_server.py", at).says("serving")
	require.Equal(t, "message: 1\n", begin(t, "hello-client", at, "1").ends())
	server.stops()
}

// Servers with five threads, ours and one of plain sockets.
func TestThreads(t *testing.T) {
	at := place(t)
	for _, server := range []*running{begin(t, "threads-server", at).says("serving"), python(t, "threads_server.py", place(t)).says("serving")} {
		at := strings.Fields(server.out.String())[2]
		require.Equal(t, strings.Repeat("World\n", 5), begin(t, "threads-client", at, "5").ends())
		server.stops()
	}
}

func TestWeather(t *testing.T) {
	server := begin(t, "weather-server", "tcp://127.0.0.1:0").says("publishing")
	at := strings.Fields(server.out.String())[2]
	require.Regexp(t, `^average temperature of 10001: -?\d+\.\d F\n$`, begin(t, "weather-client", at).ends())
	require.Regexp(t, `^average temperature of 10002: -?\d+\.\d F\n$`, python(t, "weather_client.py", at, "10002").ends())
	server.stops()
}

func TestFeedsAreMerged(t *testing.T) {
	first, second, merged := place(t), place(t), place(t)
	feeds := []*running{begin(t, "feed", first, "NASDAQ:A").says("publishing"), begin(t, "feed", second, "NASDAQ:B").says("publishing")}
	forwarder := begin(t, "feed-forwarder", merged, first, second).says("forwarding")
	text := begin(t, "feed-client", merged, "NASDAQ:A", "NASDAQ:B").ends()
	require.Equal(t, []int{5, 5}, []int{strings.Count(text, "NASDAQ:A"), strings.Count(text, "NASDAQ:B")}, text)
	require.Equal(t, 5, strings.Count(python(t, "feed_client.py", merged, "NASDAQ:B").ends(), "NASDAQ:B "))
	forwarder.stops()
	for _, f := range feeds {
		f.stops()
	}
}

func TestNumbers(t *testing.T) {
	at := place(t)
	server := begin(t, "numbers-server", at).says("publishing")
	require.Regexp(t, `^2000 numbers, \d+ missed, each of them told\n$`, begin(t, "numbers-client", at, "2000").ends())
	require.Regexp(t, `^2000 numbers, \d+ missed, each of them told\n$`, python(t, "numbers_client.py", at, "2000").ends())
	server.stops()
}

// A worker of ours, and one of plain sockets; both end by the kill signal.
func TestTasksWithKill(t *testing.T) {
	at := place(t)
	v := begin(t, "ventilator", at, "40").says("giving out")
	workers := []*running{begin(t, "pipeline-worker", at), python(t, "pipeline_worker.py", at)}
	s := begin(t, "sink", at, place(t))
	require.Contains(t, s.ends(), "40 results of 40 tasks")
	v.ends()
	require.Contains(t, workers[0].ends(), "killed: the ventilator says: the batch is done")
	require.Contains(t, workers[1].ends(), "then killed: the batch is done")
}

func TestWorkerOfNoVentilatorIsInterrupted(t *testing.T) {
	w := begin(t, "pipeline-worker", place(t))
	s := begin(t, "sink", place(t), place(t))
	w.stops()
	s.stops()
}

func TestPoll(t *testing.T) {
	prices, weather := place(t), place(t)
	begin(t, "feed", prices, "X").says("publishing")
	begin(t, "weather-server", weather).says("publishing")
	require.Equal(t, "prices: true, weather: true\n", begin(t, "poll", prices, weather).ends())
}

func TestSteps(t *testing.T) {
	const all = "child: step 1\nchild: step 2\nchild: ready\nthe child has ended\n"
	require.Equal(t, all, begin(t, "steps", "inproc://steps").ends())
	require.Equal(t, all, begin(t, "steps", "tcp://127.0.0.1:0").ends())
	at := place(t)
	begin(t, "steps", at, "child") // it may be there before its parent
	require.Equal(t, all, begin(t, "steps", at, "parent").ends())
	parent := begin(t, "steps", at, "parent")
	python(t, "steps_child.py", at).ends()
	require.Equal(t, all, parent.ends())
}

func TestWrongWords(t *testing.T) {
	for want, args := range map[string][]string{
		"which program?": nil, `no program "x"`: {"x"}, "hello-server ENDPOINT: 0 arguments": {"hello-server"}, "2 arguments": {"weather-server", "a", "b"},
		`"none" is no number`: {"hello-client", "tcp://127.0.0.1:1", "none"}, "parent or child": {"steps", "inproc://x", "aunt"},
	} {
		require.ErrorContains(t, start(t.Context(), &said{}, args), want)
	}
}
