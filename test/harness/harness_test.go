package harness_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/harness"
)

func TestMain(m *testing.M) {
	harness.Roles(map[string]harness.Role{"parrot": parrot})
	goleak.VerifyTestMain(m)
}

// parrot says its configuration, then every line that it hears.
func parrot(ctx context.Context, s *harness.Stage) error {
	var words []string
	if err := s.Config(&words); err != nil {
		return err
	}
	s.Say("words %s", strings.Join(words, "+"))
	for {
		select {
		case line := <-s.Heard():
			if line == "fail" {
				return errors.New("as it was told")
			}
			s.Say("heard %s", line)
		case <-ctx.Done():
			return nil
		}
	}
}

// TestSystemOfProcesses: broker and worker are processes, one is frozen, one killed; the verdicts are heard, and no other.
func TestSystemOfProcesses(t *testing.T) {
	s := harness.New(t, harness.Config{})
	s.BrokerProcess("b", "--heartbeat", "200ms", "--silence", "600ms")
	one := s.WorkerProcess("w1", "--service", "count")
	s.WorkerProcess("w2", "--service", "upper")
	c, ctx := s.Client(), harness.Context(t)
	h, err := c.Open(ctx, "count")
	require.NoError(t, err)
	require.Equal(t, "w1", h.Worker())

	one.Freeze()
	one.Thaw()
	reply, err := h.Call(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, "1", string(reply))
	s.ExpectNone()

	one.Kill()
	v := s.Expect(harness.Want{Is: "GONE", Of: "w1", By: "b"})
	require.NotEmpty(t, v.Raw)
	_, err = h.Call(ctx, nil)
	require.ErrorIs(t, err, assigner.ErrWorkerGone)
	reply, err = c.Do(ctx, "upper", []byte("fine"))
	require.NoError(t, err)
	require.Equal(t, "FINE", string(reply))
	s.ExpectNone()
}

// TestSystemInProcess: a process of the user's own beside a broker in the test's process.
func TestSystemInProcess(t *testing.T) {
	s := harness.New(t, harness.Config{})
	s.Broker()
	w := s.WorkerProcess("w1")
	s.Worker(harness.Services{"hello": {Handler: func(context.Context, *assigner.Call) ([]byte, error) { return []byte("hello"), nil }}})
	ctx, c := harness.Context(t), s.Client()
	reply, err := c.Do(ctx, "hello", nil)
	require.NoError(t, err)
	require.Equal(t, "hello", string(reply))
	for _, how := range []harness.Manner{harness.Computing, harness.Asleep} {
		stuck := s.Stick(c, how, time.Minute)
		require.Equal(t, "w1", stuck.Hit.Worker())
		v, err := stuck.Hit.IsAlive(ctx)
		require.NoError(t, err)
		require.True(t, v.Alive, "%+v", v)
		require.EqualValues(t, 1, v.Running)
		defer func() { require.ErrorIs(t, stuck.Wait(ctx), assigner.ErrWorkerGone) }()
	}
	w.Kill()
	s.Expect(harness.Want{Is: "GONE", Of: "w1"})
	s.ExpectNone()
	mine := s.Process("mine", exec.Command("/bin/sh", "-c", `echo "at $TROUPE_BROKER"`))
	require.Equal(t, s.Clients, mine.Await("at "))
	require.NoError(t, mine.Finish())
}

// TestWorkerIsKilled is the example of the README.
func TestWorkerIsKilled(t *testing.T) {
	s := harness.New(t, harness.Config{})
	s.BrokerProcess("b")
	w := s.WorkerProcess("w1")
	h, err := s.Client().Open(harness.Context(t), "count")
	require.NoError(t, err)
	w.Kill()
	s.Expect(harness.Want{Is: "GONE", Of: "w1"})
	_, err = h.Call(harness.Context(t), nil)
	require.ErrorIs(t, err, assigner.ErrWorkerGone)
}

func TestRoles(t *testing.T) {
	p := harness.Spawn(t, "polly", "", "parrot", []string{"a", "b"})
	require.Equal(t, "a+b", p.Await("words"))
	p.Say("hello")
	require.Equal(t, "hello", p.Await("heard"))
	require.NoError(t, p.Finish())
	p = harness.Spawn(t, "polly", "", "parrot", []string{})
	p.Say("fail")
	<-p.Done()
	require.ErrorContains(t, p.Ended(), "parrot: as it was told")
}

func TestStarvation(t *testing.T) {
	s := harness.Starve(t, 1)
	s.End()
	s.End()
	events := harness.TimelineOf(t).Events()
	require.Equal(t, harness.Fault, events[0].Kind)
	require.Contains(t, events[0].Text, fmt.Sprint(runtime.NumCPU()))
	require.Equal(t, harness.Mended, events[1].Kind)
}

// lookOn stands in for a test that fails, or not.
type lookOn struct {
	testing.TB
	said     []string
	cleanups []func()
	failed   bool
}

func (l *lookOn) Helper()                  {}
func (l *lookOn) Context() context.Context { return context.Background() }
func (l *lookOn) Failed() bool             { return l.failed }
func (l *lookOn) Log(args ...any)          { l.said = append(l.said, fmt.Sprint(args...)) }
func (l *lookOn) Logf(f string, a ...any)  { l.said = append(l.said, fmt.Sprintf(f, a...)) }
func (l *lookOn) Cleanup(f func())         { l.cleanups = append(l.cleanups, f) }
func (l *lookOn) Fatal(args ...any)        { l.Log(args...); l.failed = true; runtime.Goexit() }
func (l *lookOn) Fatalf(f string, a ...any) {
	l.Logf(f, a...)
	l.failed = true
	runtime.Goexit()
}

// watch runs a test on a lookOn and returns what it has said.
func watch(f func(t *lookOn)) (said string, failed bool) {
	l := &lookOn{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(l.cleanups) - 1; i >= 0; i-- {
				l.cleanups[i]()
			}
		}()
		f(l)
	}()
	<-done
	return strings.Join(l.said, "\n"), l.failed
}

func record(worker string, silentMS int) harness.Verdict {
	raw, _ := json.Marshal(map[string]any{
		"verdict": "FROZEN", "detector": "heartbeat", "measured": "silence", "worker": worker, "values_ms": map[string]int{"silent": silentMS}, "knob": "--silence",
	})
	v, ok := harness.ParseVerdict("b", raw)
	if !ok {
		panic("no verdict")
	}
	return v
}

func TestBoundsAreThoseOfTheRecord(t *testing.T) {
	want := harness.Want{Is: "FROZEN", Of: "w1", Value: "silent", Least: 3 * time.Second, Most: 3300 * time.Millisecond}
	for silent, text := range map[int]string{3100: "", 2900: "at least 3s are due", 3400: "at most 3.3s are allowed"} {
		said, failed := watch(func(l *lookOn) {
			harness.TimelineOf(l).Hear(record("w1", silent))
			harness.TimelineOf(l).Expect(l, want)
		})
		require.Equal(t, text != "", failed, said)
		require.Contains(t, said, text)
	}
	want.Value = "nothing"
	said, failed := watch(func(l *lookOn) {
		harness.TimelineOf(l).Hear(record("w1", 1))
		harness.TimelineOf(l).Expect(l, want)
	})
	require.True(t, failed)
	require.Contains(t, said, `has not measured "nothing"`)
}

// TestFailureShowsTheTimeline: with faults, verdicts, why-records and the seed.
func TestFailureShowsTheTimeline(t *testing.T) {
	said, failed := watch(func(l *lookOn) {
		harness.Seed(l)
		line := harness.TimelineOf(l)
		line.Note(harness.Fault, "w1", "freeze")
		line.Hear(record("w1", 3100))
		line.Expect(l, harness.Want{Of: "w1"})
		line.ExpectNone(l)
		line.Hear(record("w2", 3200))
		line.Hear(record("w3", 3200))
		line.ExpectNone(l, harness.Want{Of: "w3"})
	})
	require.True(t, failed)
	for _, text := range []string{"verdicts without a reason", "FROZEN worker w2: heartbeat", "freeze", `"knob":"--silence"`, "SEED="} {
		require.Contains(t, said, text)
	}
	said, failed = watch(func(l *lookOn) { harness.TimelineOf(l).Note(harness.Fault, "w1", "freeze") })
	require.False(t, failed)
	require.Empty(t, said, "who does not fail says nothing")
}

func TestNoVerdict(t *testing.T) {
	for _, text := range []string{"", "{}", "[]", `{"verdict":7}`, `"GONE"`} {
		_, ok := harness.ParseVerdict("b", []byte(text))
		require.False(t, ok, text)
	}
}

func TestSeedFromOutside(t *testing.T) {
	t.Setenv(harness.SeedVar, "7")
	require.EqualValues(t, 7, harness.Seed(t))
	t.Setenv(harness.SeedVar, "seven")
	said, failed := watch(func(l *lookOn) { harness.Seed(l) })
	require.True(t, failed)
	require.Contains(t, said, `SEED is "seven": give it a number`)
}

func TestScheduleIsTheSeeds(t *testing.T) {
	choices := []harness.Choice{{Kind: "kill", Weight: 1, Parts: 3, Mandatory: 5}, {Kind: "freeze", Weight: 3, Parts: 2, Least: time.Second, Most: 2 * time.Second}}
	steps := harness.Schedule(1, 40, time.Second, choices...)
	require.Len(t, steps, 40)
	require.Equal(t, steps, harness.Schedule(1, 40, time.Second, choices...))
	require.NotEqual(t, steps, harness.Schedule(2, 40, time.Second, choices...))
	kills := 0
	for _, s := range steps {
		require.Less(t, s.After, time.Second)
		if s.Kind == "kill" {
			kills++
			require.Less(t, s.Part, 3)
			continue
		}
		require.Less(t, s.Part, 2)
		require.GreaterOrEqual(t, s.For, time.Second)
		require.Less(t, s.For, 2*time.Second)
	}
	require.GreaterOrEqual(t, kills, 5)
	require.Less(t, kills, 40)
}
