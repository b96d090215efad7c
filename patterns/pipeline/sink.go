package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// EventKind says what a sink has received.
type EventKind int

// The events of a batch: one BatchStarted, then a TaskResult for each task in any order, then one BatchEnded.
const (
	BatchStarted EventKind = iota + 1
	TaskResult
	BatchEnded
)

// Event is what a sink receives. It is the receiver's own.
type Event struct {
	Kind  EventKind
	Batch uint64
	Name  string // of the batch; not of a TaskResult
	Index uint64 // of the task, from 0 in the order of Push
	Body  [][]byte
	Err   string // of a TaskResult: the handler's error, empty for none

	// Of BatchEnded: how many tasks there were, how many results came, and which were given up.
	Tasks, Results uint64
	Missing        []uint64
}

// Sink collects the results of a ventilator's batches. All methods are safe for use from any goroutine.
type Sink struct {
	cfg       SinkConfig
	station   *station.Station
	vent      *station.Port
	pull      *station.Port
	token     string // of this run
	announced atomic.Bool

	// The loop's alone.
	out    *zmqsock.Out
	in     [][]byte
	batch  *collected
	got    []byte // entries to be told
	killed *Error

	mu    sync.Mutex
	queue []*Event
	ready chan struct{}
	stats SinkStats
}

// collected is what a sink has of the batch that is open.
type collected struct {
	id      uint64
	name    string
	have    map[uint64]uint64 // bits of 64 indexes each
	results uint64
}

// SinkStats counts what a sink has done.
type SinkStats struct {
	Results, Doubles uint64 // Doubles: further results of tasks that had one
	Bad              uint64 // messages that make no sense, or are of a batch that is not open
	Waiting          int
}

// NewSink binds, connects and runs a sink, until Close, the end of ctx, or Kill of the ventilator.
func NewSink(ctx context.Context, cfg SinkConfig) (*Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	station.Default(&cfg.Queue, 1000)
	station.Default(&cfg.MaxBody, 1<<20)
	cfg.Logger = station.Logger(cfg.Logger)
	var r [8]byte
	_, _ = rand.Read(r[:])
	s := &Sink{cfg: cfg, out: zmqsock.NewOut(), ready: make(chan struct{}, 1), token: hex.EncodeToString(r[:])}
	var err error
	s.station, err = station.New(station.Config{
		Name: "sink", Logger: cfg.Logger, Context: cfg.Context, Access: cfg.Access, Turn: s.turn, End: s.out.Free, Poison: cfg.Poison,
	})
	if err != nil {
		return nil, err
	}
	s.pull, err = s.station.Open(station.Spec{
		Config: zmqsock.Config{Kind: zmqsock.Pull, MaxMsgSize: int64(cfg.MaxBody), RecvHWM: cfg.Queue}, Bind: []string{cfg.Bind}, Hear: s.result,
	})
	if err == nil {
		s.vent, err = s.station.Open(station.Spec{
			Config: zmqsock.Config{Kind: zmqsock.Dealer}, Connect: []string{cfg.Ventilator}, Hear: s.told, Notice: s.notice,
		})
	}
	if err != nil {
		s.station.Abandon()
		return nil, err
	}
	s.present()
	s.station.Run(ctx)
	return s, nil
}

// Addr returns the endpoint for results, with the port that was chosen.
func (s *Sink) Addr() string {
	if s.cfg.Advertise != "" {
		return s.cfg.Advertise
	}
	return s.pull.Addrs()[0]
}

// Receive returns the next event. Errors are the context's own, and after the end *Error: ErrClosed, or ErrKilled.
func (s *Sink) Receive(ctx context.Context) (*Event, error) {
	for {
		if e := s.take(); e != nil {
			return e, nil
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.station.Done():
			if e := s.take(); e != nil {
				return e, nil
			}
			if s.killed != nil {
				return nil, s.killed
			}
			return nil, closedError("receive", s.station.Err())
		}
	}
}

// Stats returns the counters so far.
func (s *Sink) Stats() SinkStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Waiting = len(s.queue)
	return st
}

// Close ends the sink. It returns why it had ended before, if it had.
func (s *Sink) Close(ctx context.Context) error { return s.station.Close(ctx) }

// Done is closed when the sink has ended.
func (s *Sink) Done() <-chan struct{} { return s.station.Done() }

func (s *Sink) take() *Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil
	}
	e := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	if len(s.queue) > 0 {
		s.signal()
	}
	if len(s.queue) == s.cfg.Queue/2 {
		s.station.Do(func() { s.station.Hold(s.pull, false) })
	}
	return e
}

func (s *Sink) put(e *Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue = append(s.queue, e); len(s.queue) == 1 {
		s.signal()
	}
	if e.Kind == TaskResult {
		s.stats.Results++
	}
	if len(s.queue) >= s.cfg.Queue {
		s.station.Hold(s.pull, true) // put is called on the loop
	}
}

func (s *Sink) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

func (s *Sink) tell(word string, frames ...[]byte) {
	s.out.Add(s.vent.Sock, nil, false)
	s.out.Append([]byte(word))
	for _, f := range frames {
		s.out.Append(f)
	}
}

// present says who and where this is. It is said again after each loss of the connection.
func (s *Sink) present() { s.tell(wordSink, []byte(s.Addr()), []byte(s.token)) }

func (s *Sink) notice(e zmqsock.Event) {
	switch e.Kind {
	case zmqsock.Established:
		if s.announced.Swap(true) {
			s.present()
		}
	case zmqsock.Disconnected:
		s.cfg.Logger.Info("the connection to the ventilator is lost", "endpoint", s.cfg.Ventilator)
	case zmqsock.Refused:
		s.cfg.Logger.Warn("the ventilator does not let this sink in", "endpoint", s.cfg.Ventilator, "reason", e.Failure)
	}
}

// told takes what the ventilator says.
func (s *Sink) told(in *zmqsock.In, i int) {
	s.in = in.Frames(i, s.in[:0])
	word, rest := string(s.in[0]), s.in[1:]
	switch {
	case word == wordStart && len(rest) == 2 && len(rest[0]) == 8:
		s.started(binary.BigEndian.Uint64(rest[0]), string(rest[1]))
	case word == wordEnd && len(rest) == 3 && len(rest[0]) == 8 && len(rest[1]) == 8:
		s.ended(binary.BigEndian.Uint64(rest[0]), binary.BigEndian.Uint64(rest[1]), rest[2])
	case word == wordKill && len(rest) == 1:
		s.killed = &Error{Op: "receive", Kind: ErrKilled, Text: "the ventilator says: " + string(rest[0])}
		s.station.Stop()
	default:
		s.bad()
	}
}

func (s *Sink) bad() {
	s.mu.Lock()
	s.stats.Bad++
	s.mu.Unlock()
}

func (s *Sink) started(id uint64, name string) {
	s.tell(wordStart, u64(id))
	if s.batch != nil && s.batch.id == id {
		return // told again, after a loss of the connection
	}
	s.batch = &collected{id: id, name: name, have: make(map[uint64]uint64)}
	s.put(&Event{Kind: BatchStarted, Batch: id, Name: name})
}

func (s *Sink) ended(id, tasks uint64, missing []byte) {
	b := s.batch
	if b == nil || b.id != id {
		return
	}
	e := &Event{Kind: BatchEnded, Batch: id, Name: b.name, Tasks: tasks, Results: b.results}
	if len(missing) > 0 {
		parseEntries(missing, func(_, index uint64) { e.Missing = append(e.Missing, index) })
	}
	s.batch = nil
	s.put(e)
}

// result takes what a worker has done.
func (s *Sink) result(in *zmqsock.In, i int) {
	s.in = in.Frames(i, s.in[:0])
	b := s.batch
	if len(s.in) < 2 || len(s.in[0]) != entryLen {
		s.bad()
		return
	}
	batch, index := binary.BigEndian.Uint64(s.in[0]), binary.BigEndian.Uint64(s.in[0][8:])
	if b == nil || b.id != batch {
		s.bad()
		return
	}
	s.got = appendEntry(s.got, batch, index)
	if b.have[index/64]>>(index%64)&1 == 1 {
		s.mu.Lock()
		s.stats.Doubles++
		s.mu.Unlock()
		return
	}
	b.have[index/64] |= 1 << (index % 64)
	b.results++
	e := &Event{Kind: TaskResult, Batch: batch, Index: index, Body: clone(s.in[2:])}
	if string(s.in[1]) != statusOK {
		e.Body, e.Err = nil, "failed"
		if len(s.in) > 2 {
			e.Err = string(s.in[2])
		}
	}
	s.put(e)
}

// turn tells the ventilator of what has come. What cannot be told now is told later.
func (s *Sink) turn(time.Duration) (int, time.Duration) {
	if len(s.got) > 0 {
		s.tell(wordGot, s.got)
		s.got = s.got[:0]
	}
	n := s.out.Len()
	if n == 0 {
		return 0, -1
	}
	sent, err := s.out.SendSome()
	if err != nil {
		return 0, 10 * time.Millisecond
	}
	s.out.Reset()
	return sent, -1
}
