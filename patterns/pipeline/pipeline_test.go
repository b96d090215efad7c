package pipeline

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryTaskGivesOneResult(t *testing.T) {
	for _, scheme := range []string{"tcp", "ipc", "inproc"} {
		t.Run(scheme, func(t *testing.T) {
			s := newStage(t, scheme, VentilatorConfig{Window: 100})
			for range 3 {
				s.worker(WorkerConfig{Threads: 2})
			}
			for range 3 {
				done := s.pushAll(1000)
				e := s.collect(1000)
				require.EqualValues(t, 1000, e.Tasks)
				r := <-done
				require.NoError(t, r.err)
				require.EqualValues(t, 1000, r.Done)
			}
			require.EqualValues(t, 3000, s.count.Load())
			require.Equal(t, VentilatorStats{Workers: 3, Sink: s.sink.Addr(), Batches: 3, Tasks: 3000, Done: 3000}, s.vent.Stats())
			require.Zero(t, s.sink.Stats().Bad)
		})
	}
}

// The order in which they start does not matter, and nobody sleeps to let the others come first.
func TestStartAndEndOfABatchAreKnownToAll(t *testing.T) {
	at := "ipc://" + filepath.Join(t.TempDir(), "v")
	s := &stage{t: t, at: at}
	s.worker(WorkerConfig{})
	s.sink = s.newSink("tcp://127.0.0.1:0", 0)
	v, err := NewVentilator(context.Background(), VentilatorConfig{Bind: []string{at}, Logger: quiet})
	require.NoError(t, err)
	defer func() { require.NoError(t, v.Close(within(t))) }()
	s.vent = v
	done := s.pushAll(10)
	s.collect(10)
	require.NoError(t, (<-done).err)
	done = s.pushAll(0)
	require.Zero(t, s.collect(0).Tasks)
	require.NoError(t, (<-done).err)
}

// A worker that takes long gets no more than its credit; the others do the rest.
func TestSlowWorkerDoesNotSitOnTasks(t *testing.T) {
	s := newStage(t, "tcp", VentilatorConfig{})
	hold, held := make(chan struct{}), make(chan uint64, 10)
	s.worker(WorkerConfig{Credit: 2, Handler: func(ctx context.Context, task *Task) ([][]byte, error) {
		held <- task.Index
		<-hold
		return task.Body, nil
	}})
	eventually(t, func() bool { return s.vent.Stats().Workers == 1 }, "the slow one is there")
	done := s.pushAll(100)
	<-held
	s.worker(WorkerConfig{})
	eventually(t, func() bool { return s.vent.Stats().Done == 98 }, "all but two are done")
	close(hold)
	s.collect(100)
	require.NoError(t, (<-done).err)
}

// Workers die with tasks in hand, by being closed or by losing their connection: the count is exact all the same.
func TestResultsAreExactThoughWorkersDie(t *testing.T) {
	for _, scheme := range []string{"tcp", "ipc"} {
		t.Run(scheme, func(t *testing.T) {
			const n = 3000
			s := newStage(t, scheme, VentilatorConfig{MaxTries: 1000, Confirm: 100e6})
			workers := []*Worker{s.worker(WorkerConfig{Threads: 2}), s.worker(WorkerConfig{Threads: 2})}
			done := s.pushAll(n)
			for round := range 20 {
				seen := s.count.Load()
				eventually(t, func() bool { return s.count.Load() > seen+20 || s.vent.Stats().Done > n-100 }, "some work")
				if round%2 == 0 {
					require.NoError(t, workers[0].Close(within(t)))
					workers = append(workers[1:], s.worker(WorkerConfig{Threads: 2}))
					continue
				}
				s.vent.station.Do(func() {
					for _, p := range s.vent.byFD {
						_ = p.conn.Hangup() // the sink's as well
					}
				})
			}
			e := s.collect(n)
			require.EqualValues(t, n, e.Results)
			r := <-done
			require.NoError(t, r.err)
			require.EqualValues(t, n, r.Done)
		})
	}
}

// A task that kills whoever does it is reported; the others are done.
func TestWhatCannotBeDoneIsReported(t *testing.T) {
	s := newStage(t, "tcp", VentilatorConfig{MaxTries: 3})
	done := s.pushAll(1)
	for range 3 {
		send, receive := plainDealer(t, s.at)
		send(wordReady, "doomed", "1")
		for receive()[0] != wordTask {
		}
		send(wordBye)
	}
	e := s.collect(1)
	require.Equal(t, []uint64{0}, e.Missing)
	r := <-done
	require.Contains(t, is(t, r.err, ErrMissing).Text, "1 of 1 tasks")
	require.Equal(t, []uint64{0}, r.Missing)
	s.worker(WorkerConfig{})
	done = s.pushAll(20)
	s.collect(20)
	require.NoError(t, (<-done).err)
}

// A frozen worker keeps its connection; its lease ends all the same.
func TestFrozenWorkerLosesItsTasks(t *testing.T) {
	s := newStage(t, "tcp", VentilatorConfig{Lease: 20e6})
	send, receive := plainDealer(t, s.at)
	send(wordReady, "frozen", "1")
	done := s.pushAll(5)
	for receive()[0] != wordTask {
	}
	s.worker(WorkerConfig{})
	s.collect(5)
	r := <-done
	require.NoError(t, r.err)
	require.Positive(t, r.Redone)
}

// Kill reaches workers in the middle of their work, and everybody ends.
func TestKillReachesWhoWorks(t *testing.T) {
	s := newStage(t, "tcp", VentilatorConfig{})
	busy := make(chan struct{}, 10)
	w := s.worker(WorkerConfig{Handler: func(ctx context.Context, _ *Task) ([][]byte, error) {
		busy <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	done := s.pushAll(3)
	<-busy
	require.NoError(t, s.vent.Kill("enough"))
	require.Contains(t, is(t, w.Wait(within(t)), ErrKilled).Text, "enough")
	require.Contains(t, is(t, (<-done).err, ErrKilled).Text, "enough")
	for {
		_, err := s.sink.Receive(within(t))
		if err != nil {
			is(t, err, ErrKilled)
			break
		}
	}
}

// Errors and panics of handlers are results: nothing is done again, and the worker lives on.
func TestErrorsOfHandlersAreResults(t *testing.T) {
	s := newStage(t, "tcp", VentilatorConfig{})
	w := s.worker(WorkerConfig{Handler: func(_ context.Context, task *Task) ([][]byte, error) {
		switch task.Index {
		case 1:
			return nil, errors.New("no such file")
		case 2:
			panic("a bug")
		case 3:
			return make([][]byte, maxFrames+1), nil
		}
		return task.Body, nil
	}})
	done := s.pushAll(5)
	errs := map[uint64]string{}
	for {
		e, err := s.sink.Receive(within(t))
		require.NoError(t, err)
		if e.Err != "" {
			errs[e.Index] = e.Err
		}
		if e.Kind == BatchEnded {
			break
		}
	}
	require.NoError(t, (<-done).err)
	require.Equal(t, map[uint64]string{1: "no such file", 2: "the handler has panicked: a bug", 3: "the result has 61 frames, 60 are possible"}, errs)
	require.EqualValues(t, 3, w.Stats().Failed)
}

// A sink that nobody receives from makes everybody wait, and nothing grows.
func TestSinkThatIsNotReadMakesAllWait(t *testing.T) {
	s := newStage(t, "tcp", VentilatorConfig{Window: 50})
	require.NoError(t, s.sink.Close(within(t)))
	s.sink = s.newSink("tcp://127.0.0.1:0", 10)
	s.worker(WorkerConfig{})
	done := s.pushAll(5000)
	eventually(t, func() bool { return s.sink.Stats().Waiting >= 10 }, "the sink is full")
	require.LessOrEqual(t, s.vent.Stats().Unfinished, 50)
	s.collect(5000)
	require.NoError(t, (<-done).err)
}

func TestSinkIsLost(t *testing.T) {
	s := newStage(t, "tcp", VentilatorConfig{})
	s.worker(WorkerConfig{})
	done := s.pushAll(3)
	s.collect(3)
	require.NoError(t, (<-done).err)
	b, err := s.vent.Start(within(t), "next")
	require.NoError(t, err)
	require.NoError(t, b.Push(within(t), []byte("x")))
	require.NoError(t, s.sink.Close(within(t)))
	s.sink = s.newSink("tcp://127.0.0.1:0", 0)
	_, err = b.End(within(t))
	is(t, err, ErrSinkLost)
	done = s.pushAll(10)
	s.collect(10)
	require.NoError(t, (<-done).err, "the next batch goes to the new one")
}

func TestMisuse(t *testing.T) {
	v, err := NewVentilator(context.Background(), VentilatorConfig{Bind: []string{"tcp://127.0.0.1:0"}, Logger: quiet, MaxBody: 10, Window: 1})
	require.NoError(t, err)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = v.Start(over, "x")
	require.Contains(t, is(t, err, ErrNoSink).Text, v.Addrs()[0])
	require.ErrorIs(t, err, context.Canceled)
	s := &stage{t: t, vent: v, at: v.Addrs()[0]}
	s.sink = s.newSink("tcp://127.0.0.1:0", 0)
	b, err := v.Start(within(t), "x")
	require.NoError(t, err)
	_, err = v.Start(within(t), "y")
	is(t, err, ErrBusy)
	is(t, b.Push(within(t), make([]byte, 11)), ErrTooLarge)
	require.NoError(t, b.Push(within(t), []byte("one")))
	require.ErrorIs(t, b.Push(over, []byte("two")), context.Canceled, "the window is full")
	_, err = b.End(over)
	require.ErrorIs(t, err, context.Canceled)
	is(t, b.Push(within(t), []byte("three")), ErrEnded)
	require.NoError(t, v.Close(within(t)))
	_, err = b.End(within(t))
	is(t, err, ErrClosed)
	_, err = v.Start(within(t), "z")
	is(t, err, ErrClosed)
	is(t, v.Kill(""), ErrClosed)
}

func TestMessagesThatMakeNoSense(t *testing.T) {
	s := newStage(t, "tcp", VentilatorConfig{})
	send, _ := plainDealer(t, s.at)
	bad := [][]string{
		{"WHAT"},
		{wordReady},
		{wordReady, "n", "0"},
		{wordReady, "n", "many"},
		{wordReady, strings.Repeat("n", 256), "1"},
		{wordDone},
		{wordDone, "short"},
		{wordGot, strings.Repeat("x", 16)},
		{wordSink, "nowhere", "t"},
		{wordSink, "tcp://127.0.0.1:1"},
		{wordStart, "12345678"},
		{""},
	}
	for _, m := range bad {
		send(m...)
	}
	eventually(t, func() bool { return s.vent.Stats().Bad == uint64(len(bad)) }, "all are counted")
	send(wordDone, strings.Repeat("x", 32)) // of somebody unknown
	s.worker(WorkerConfig{})
	done := s.pushAll(10)
	s.collect(10)
	require.NoError(t, (<-done).err)
}

func TestConfigsThatCannotBeUsed(t *testing.T) {
	ctx := context.Background()
	for want, c := range map[string]VentilatorConfig{
		"Bind is empty": {}, "Window -1": {Bind: []string{"inproc://x"}, Window: -1}, "Lease -1": {Bind: []string{"inproc://x"}, Lease: -1},
		"other machines can reach it": {Bind: []string{"tcp://0.0.0.0:0"}},
	} {
		_, err := NewVentilator(ctx, c)
		require.ErrorContains(t, err, want)
	}
	for want, c := range map[string]SinkConfig{
		"both are needed": {}, "Queue -1": {Ventilator: "inproc://x", Bind: "inproc://y", Queue: -1}, "Advertise": {Ventilator: "inproc://x", Bind: "inproc://y", Advertise: "x"},
	} {
		_, err := NewSink(ctx, c)
		require.ErrorContains(t, err, want)
	}
	h := func(context.Context, *Task) ([][]byte, error) { return nil, nil }
	for want, c := range map[string]WorkerConfig{
		"are needed": {}, "Threads -1": {Ventilator: "inproc://x", Handler: h, Threads: -1}, "Credit 1 is below": {Ventilator: "inproc://x", Handler: h, Threads: 2, Credit: 1},
		"not a ZeroMQ endpoint": {Ventilator: "x", Handler: h},
	} {
		_, err := NewWorker(ctx, c)
		require.ErrorContains(t, err, want)
	}
	_, err := NewVentilator(ctx, VentilatorConfig{Bind: []string{"tcp://0.0.0.0:0"}})
	require.ErrorIs(t, err, ErrInsecure)
}
