package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// Batch is one batch of tasks. All methods are safe for use from any goroutine.
type Batch struct {
	v    *Ventilator
	id   uint64
	name string

	// Under the ventilator's mutex.
	pushed int
	ended  bool // nothing more may be pushed

	announced chan struct{} // the sink knows
	known     bool          // the loop's: announced is closed
	space     chan struct{} // holds a token when there may be room
	over      chan struct{}
	report    Report // the loop's until over
	err       *Error
}

// Report is how a batch has ended.
type Report struct {
	Batch   uint64
	Name    string
	Tasks   uint64   // pushed
	Done    uint64   // whose results the sink has
	Redone  uint64   // how often one was given to another worker
	Missing []uint64 // indexes of tasks that were given up, after VentilatorConfig.MaxTries workers
}

// Start begins a batch and waits for the sink, so that no result has nowhere to go. Workers may come at any time. Errors are *Error: ErrBusy, ErrClosed, and ErrNoSink where ctx
// has ended first.
func (v *Ventilator) Start(ctx context.Context, name string) (*Batch, error) {
	var r [8]byte
	_, _ = rand.Read(r[:])
	b := &Batch{
		v: v, id: binary.BigEndian.Uint64(r[:]), name: name, announced: make(chan struct{}), space: make(chan struct{}, 1), over: make(chan struct{}),
	}
	b.report = Report{Batch: b.id, Name: name}
	begun := make(chan bool, 1)
	if !v.station.Do(func() { begun <- v.begin(b) }) {
		return nil, closedError("start", v.station.Err())
	}
	if !<-begun {
		return nil, &Error{Op: "start", Kind: ErrBusy, Text: "a ventilator runs one batch at a time: End the other one first, or use another ventilator"}
	}
	select {
	case <-b.announced:
		return b, nil
	case <-b.over:
		return nil, b.err
	case <-ctx.Done():
		v.station.Do(func() {
			if v.batch == b {
				v.finish(&Error{Op: "start", Kind: ErrNoSink, Text: "given up"})
			}
		})
		return nil, waitError(ctx, "start", ErrNoSink, fmt.Sprintf("no sink has come to %s: is one running, with that as its SinkConfig.Ventilator?", v.Addrs()[0]))
	}
}

func (v *Ventilator) begin(b *Batch) bool {
	if v.batch != nil {
		return false
	}
	v.batch = b
	v.table.Begin()
	v.mu.Lock()
	v.stats.Batches++
	v.fresh = nil
	v.mu.Unlock()
	for id := range v.names {
		v.send(id, wordStart, u64(b.id), []byte(b.name))
	}
	if v.sink.id != "" {
		v.announce(b)
	}
	return true
}

// announce tells the sink of the batch.
func (v *Ventilator) announce(b *Batch) {
	v.send(v.sink.id, wordStart, u64(b.id), []byte(b.name))
}

// expected takes the sink's word that it knows: results may come.
func (v *Ventilator) expected(id string, batch []byte) bool {
	if id != v.sink.id || len(batch) != 8 {
		return false
	}
	if b := v.batch; b != nil && !b.known && binary.BigEndian.Uint64(batch) == b.id {
		b.known = true
		close(b.announced)
	}
	return true
}

// Push adds a task; the bytes are copied. It waits while VentilatorConfig.Window tasks are unfinished. Errors are *Error: ErrTooLarge, ErrEnded, what has ended the batch, or the
// context's where that has ended first.
func (b *Batch) Push(ctx context.Context, body ...[]byte) error {
	size := 0
	for _, f := range body {
		size += len(f)
	}
	if size > b.v.cfg.MaxBody || len(body) > maxFrames {
		return &Error{Op: "push", Kind: ErrTooLarge, Text: fmt.Sprintf("it has %d bytes in %d frames; %d bytes (MaxBody) in %d frames are possible", size, len(body), b.v.cfg.MaxBody, maxFrames)}
	}
	copied := clone(body)
	for {
		select {
		case <-b.over:
			return b.failed("push")
		default:
		}
		ok, err := b.add(copied)
		if ok || err != nil {
			return err
		}
		select {
		case <-b.space:
		case <-b.over:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (b *Batch) add(body [][]byte) (bool, error) {
	v := b.v
	v.mu.Lock()
	defer v.mu.Unlock()
	if b.ended {
		return false, &Error{Op: "push", Kind: ErrEnded, Text: "End was called before: start another batch"}
	}
	if v.stats.Unfinished >= v.cfg.Window {
		return false, nil
	}
	v.fresh = append(v.fresh, body)
	v.stats.Unfinished++
	v.stats.Tasks++
	b.pushed++
	if v.stats.Unfinished < v.cfg.Window {
		b.room() // for another one who waits
	}
	if len(v.fresh) == 1 {
		v.station.Rouse()
	}
	return true, nil
}

func (b *Batch) room() {
	select {
	case b.space <- struct{}{}:
	default:
	}
}

// End says that these are all tasks, and waits until each has its result at the sink or was given up. The error is nil only if no result is missing; otherwise *Error: ErrMissing,
// ErrKilled, ErrSinkLost, ErrClosed, or the context's where that has ended first: the batch goes on then, and End may be called again. The report is valid with any error but that.
func (b *Batch) End(ctx context.Context) (Report, error) {
	b.v.mu.Lock()
	b.ended = true
	b.v.mu.Unlock()
	b.v.station.Do(func() {})
	select {
	case <-b.over:
	case <-ctx.Done():
		return Report{Batch: b.id, Name: b.name}, context.Cause(ctx)
	}
	if b.err != nil {
		return b.report, b.err
	}
	if n := len(b.report.Missing); n > 0 {
		return b.report, &Error{Op: "end", Kind: ErrMissing, Text: fmt.Sprintf("%d of %d tasks were given up after %d workers each (Report.Missing): see what these tasks do to workers", n, b.report.Tasks, b.v.cfg.MaxTries)}
	}
	return b.report, nil
}

func (b *Batch) failed(op string) error {
	if b.err != nil {
		return &Error{Op: op, Kind: b.err.Kind, Text: b.err.Text, cause: b.err.cause}
	}
	return &Error{Op: op, Kind: ErrEnded, Text: "the batch is over: start another one"}
}

// settle ends the batch when all is done.
func (v *Ventilator) settle() {
	b := v.batch
	v.mu.Lock()
	all := b.ended && len(v.fresh) == 0 && v.table.Open() == 0
	v.mu.Unlock()
	if all && v.sink.id != "" {
		v.finish(nil)
	}
}

// finish ends the batch, and tells everybody.
func (v *Ventilator) finish(err *Error) {
	b := v.batch
	if b == nil {
		return
	}
	v.mu.Lock()
	b.ended = true
	b.report.Tasks, b.report.Redone, b.report.Missing = uint64(b.pushed), uint64(v.table.Redone()), v.table.Missing()
	v.stats.Redone += b.report.Redone
	v.stats.Missing += uint64(len(b.report.Missing))
	v.fresh, v.stats.Unfinished = nil, 0
	v.mu.Unlock()
	var missing []byte
	for _, index := range b.report.Missing {
		missing = appendEntry(missing, b.id, index)
	}
	for id := range v.names {
		v.send(id, wordEnd, u64(b.id), u64(b.report.Tasks), missing)
	}
	if v.sink.id != "" {
		v.send(v.sink.id, wordEnd, u64(b.id), u64(b.report.Tasks), missing)
	}
	b.err = err
	v.batch = nil
	v.table.Begin()
	close(b.over)
}
