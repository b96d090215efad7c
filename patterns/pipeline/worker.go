package pipeline

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// Worker does tasks. All methods are safe for use from any goroutine.
type Worker struct {
	cfg     WorkerConfig
	station *station.Station
	work    context.Context // of handlers
	cancel  context.CancelFunc
	tasks   chan *Task
	threads sync.WaitGroup

	// The loop's alone.
	vent    *station.Port
	push    *station.Port // to the sink, nil until the ventilator has said where it is
	sinkAt  string
	out     *zmqsock.Out // to the ventilator
	results *zmqsock.Out // to the sink
	sending []result     // what results are
	in      [][]byte
	met     bool // the ventilator, once

	mu       sync.Mutex
	finished []result
	err      *Error // why the worker has ended
	count    struct{ done, failed, bad atomic.Uint64 }
}

type result struct {
	task   *Task
	status string
	body   [][]byte
}

// WorkerStats counts what a worker has done.
type WorkerStats struct {
	Done, Failed uint64 // Failed: with an error or a panic, among Done
	Waiting      int    // tasks that no thread has begun
	Bad          uint64 // messages that make no sense
}

// NewWorker connects and runs a worker, until Close, the end of ctx, or Kill of the ventilator.
func NewWorker(ctx context.Context, cfg WorkerConfig) (*Worker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	station.Default(&cfg.Threads, 1)
	station.Default(&cfg.Credit, 2*cfg.Threads)
	station.Default(&cfg.MaxBody, 1<<20)
	station.Default(&cfg.Name, station.ProcessName())
	cfg.Logger = station.Logger(cfg.Logger)
	w := &Worker{cfg: cfg, out: zmqsock.NewOut(), results: zmqsock.NewOut(), tasks: make(chan *Task, cfg.Credit)}
	w.work, w.cancel = context.WithCancel(ctx)
	var err error
	w.station, err = station.New(station.Config{
		Name: "pipeline worker", Logger: cfg.Logger, Context: cfg.Context, Access: cfg.Access, Turn: w.turn, Pending: w.pending, End: w.end, Poison: cfg.Poison,
	})
	if err != nil {
		w.cancel()
		return nil, err
	}
	w.vent, err = w.station.Open(station.Spec{
		Config: zmqsock.Config{Kind: zmqsock.Dealer, MaxMsgSize: int64(cfg.MaxBody), RecvHWM: -1}, Connect: []string{cfg.Ventilator}, Hear: w.told, Notice: w.notice,
	})
	if err != nil {
		w.cancel()
		w.station.Abandon()
		return nil, err
	}
	for range cfg.Threads {
		w.threads.Add(1)
		go w.thread()
	}
	w.ready()
	w.station.Run(ctx)
	return w, nil
}

// Wait returns when the worker has ended: with ErrKilled (*Error) when the ventilator has said so, with nil after Close or the end of its context, or with the error of
// this ctx when that has ended first.
func (w *Worker) Wait(ctx context.Context) error {
	select {
	case <-w.station.Done():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if w.err != nil {
		return w.err
	}
	return w.station.Err()
}

// Close ends the worker: the contexts of handlers end, and the ventilator is told, which gives their tasks to others. It waits for the handlers until ctx is over.
func (w *Worker) Close(ctx context.Context) error { return w.station.Close(ctx) }

// Done is closed when the worker has ended, its handlers included.
func (w *Worker) Done() <-chan struct{} { return w.station.Done() }

// Stats returns the counters so far.
func (w *Worker) Stats() WorkerStats {
	return WorkerStats{Done: w.count.done.Load(), Failed: w.count.failed.Load(), Bad: w.count.bad.Load(), Waiting: len(w.tasks)}
}

// thread works on one task after the other.
func (w *Worker) thread() {
	defer w.threads.Done()
	for t := range w.tasks {
		if w.work.Err() != nil {
			continue
		}
		r := w.try(t)
		w.mu.Lock()
		w.finished = append(w.finished, r)
		first := len(w.finished) == 1
		w.mu.Unlock()
		if first {
			w.station.Rouse()
		}
	}
}

// try makes a panic a result.
func (w *Worker) try(t *Task) (r result) {
	r = result{task: t, status: statusOK}
	fail := func(text string) {
		w.count.failed.Add(1)
		r.status, r.body = statusError, [][]byte{[]byte(text)}
	}
	defer func() {
		w.count.done.Add(1)
		if v := recover(); v != nil {
			w.cfg.Logger.Error("a handler has panicked", "batch", t.Batch, "task", t.Index, "panic", v, "stack", string(debug.Stack()))
			fail(fmt.Sprintf("the handler has panicked: %v", v))
		}
	}()
	body, err := w.cfg.Handler(w.work, t)
	switch {
	case err != nil:
		fail(err.Error())
	case len(body) > maxFrames:
		fail(fmt.Sprintf("the result has %d frames, %d are possible", len(body), maxFrames))
	default:
		r.body = body
	}
	return r
}

// ready says that the worker is there, and has room.
func (w *Worker) ready() {
	w.tell(wordReady, []byte(w.cfg.Name), strconv.AppendInt(nil, int64(w.cfg.Credit), 10))
}

// again presents the worker after the loss of its connection: what no thread has begun has been given to others.
func (w *Worker) again() {
	for {
		select {
		case <-w.tasks:
		default:
			w.ready()
			return
		}
	}
}

func (w *Worker) tell(word string, frames ...[]byte) {
	w.out.Add(w.vent.Sock, nil, false)
	w.out.Append([]byte(word))
	for _, f := range frames {
		w.out.Append(f)
	}
}

func (w *Worker) notice(e zmqsock.Event) {
	switch e.Kind {
	case zmqsock.Established:
		if w.met {
			w.again()
		}
		w.met = true
	case zmqsock.Disconnected:
		w.cfg.Logger.Info("the connection to the ventilator is lost", "endpoint", w.cfg.Ventilator)
	case zmqsock.Refused:
		w.cfg.Logger.Warn("the ventilator does not let this worker in", "endpoint", w.cfg.Ventilator, "reason", e.Failure)
	}
}

// told takes what the ventilator says.
func (w *Worker) told(in *zmqsock.In, i int) {
	w.in = in.Frames(i, w.in[:0])
	word, rest := string(w.in[0]), w.in[1:]
	switch {
	case word == wordTask && len(rest) >= 1 && len(rest[0]) == entryLen:
		t := &Task{Batch: binary.BigEndian.Uint64(rest[0]), Index: binary.BigEndian.Uint64(rest[0][8:]), Body: clone(rest[1:])}
		select {
		case w.tasks <- t:
		default: // more than was asked for: the ventilator gives it to another one after its Lease, or when this one is gone
			w.count.bad.Add(1)
		}
	case word == wordSink && len(rest) == 1:
		w.sinkIs(string(rest[0]))
	case word == wordStart || word == wordEnd:
	case word == wordKill && len(rest) == 1:
		w.err = &Error{Op: "work", Kind: ErrKilled, Text: "the ventilator says: " + string(rest[0])}
		w.cancel()
		w.station.Stop()
	default:
		w.count.bad.Add(1)
	}
}

// sinkIs connects to the sink. Results on their way to another one before are lost with it.
func (w *Worker) sinkIs(at string) {
	if at == w.sinkAt {
		return
	}
	if w.push != nil {
		w.station.Shut(w.push)
		w.results.Reset()
		w.sending = w.sending[:0]
	}
	w.sinkAt = at
	var err error
	w.push, err = w.station.Open(station.Spec{Config: zmqsock.Config{Kind: zmqsock.Push, SendHWM: w.cfg.Credit, Immediate: true, Linger: 2 * time.Second}, Connect: []string{at}})
	if err != nil {
		w.cfg.Logger.Error("the sink cannot be connected to", "endpoint", at, "error", err)
		w.push, w.sinkAt = nil, ""
	}
}

func (w *Worker) pending() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.finished) > 0 && w.push != nil && len(w.sending) == 0
}

// retry is how long a full or missing sink is left alone, where nothing tells when it has room.
const retry = 5 * time.Millisecond

// turn sends results, and then says that they are sent, which is the asking for more.
func (w *Worker) turn(time.Duration) (int, time.Duration) {
	wait := time.Duration(-1)
	did := 0
	if w.push != nil {
		n, blocked := w.sendResults()
		did += n
		if blocked {
			wait = retry
		}
	}
	if w.out.Len() > 0 {
		if _, err := w.out.SendSome(); err != nil {
			return did, retry
		}
		did += w.out.Len()
		w.out.Reset()
	}
	return did, wait
}

func (w *Worker) sendResults() (sent int, blocked bool) {
	if len(w.sending) == 0 {
		w.mu.Lock()
		w.sending, w.finished = w.finished, w.sending
		w.mu.Unlock()
		for _, r := range w.sending {
			w.results.Add(w.push.Sock, nil, false)
			w.results.Append(appendEntry(nil, r.task.Batch, r.task.Index))
			w.results.Append([]byte(r.status))
			for _, f := range r.body {
				w.results.Append(f)
			}
		}
	}
	if len(w.sending) == 0 {
		return 0, false
	}
	before := len(w.sending) - w.results.Left()
	gone, err := w.results.SendSome()
	var entries []byte
	for _, r := range w.sending[before:gone] {
		entries = appendEntry(entries, r.task.Batch, r.task.Index)
	}
	if len(entries) > 0 {
		w.tell(wordDone, entries)
	}
	if err != nil {
		return gone - before, true
	}
	clear(w.sending)
	w.sending = w.sending[:0]
	w.results.Reset()
	return gone - before, false
}

// end waits for the handlers, sends what they have done, and says goodbye.
func (w *Worker) end() {
	w.cancel()
	close(w.tasks)
	w.threads.Wait()
	if w.vent != nil {
		w.turn(0)
		w.tell(wordBye)
		_, _ = w.out.SendSome()
	}
	w.out.Free()
	w.results.Free()
}
