package assigner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// Hit is an open session with a thread of its own. It is safe for use by many goroutines: their calls run one after another.
type Hit struct {
	up      *uplink
	handle  uint64
	epoch   uint32
	peer    wire.Peer
	service string
	worker  string
	thread  int
	direct  *directWay  // nil: by way of the broker
	res     *resumption // nil: the hit ends with its connection

	mu      sync.Mutex
	next    uint32        // seq of the next call
	calls   []*pending    // under way, in order of seq
	sending *outflow      // the body of the last call that had one in parts
	down    *arriving     // the reply that comes in parts
	closing *pending      // of CLOSE, once Close was called
	ended   *Error        // why no call is possible any more, nil while it is
	done    chan struct{} // closed with ended, nil: nobody has asked for it
}

// Request is a call with all choices.
type Request struct {
	Frames [][]byte // the body; empty: one frame of length zero
	// Progress is called for every report of progress before the answer, on the client's loop: it must not block. A caller whose context has
	// ended may still see a last one.
	Progress func(Progress)
	// Body is sent behind the frames, in parts as the worker takes them; nil: there is none. Size is how many bytes of it are sent, -1: all that it
	// has. Not in calls that are made together with their open.
	Body io.Reader
	Size int64
	// Idempotent promises that the call may run more than once, and needs nothing that calls before it have left in the session. Where its service is
	// repaired by RepairRestart it then outlives its worker: it goes to another one. It means nothing on direct hits.
	Idempotent bool
}

func (r *Request) frames() [][]byte {
	if len(r.Frames) == 0 {
		return [][]byte{nil}
	}
	return r.Frames
}

// Handle returns the hit's number at the broker, as listings show it in hexadecimal.
func (h *Hit) Handle() uint64 { return h.handle }

// Service returns the name of the hit's service.
func (h *Hit) Service() string { return h.service }

// Worker returns the name of the worker that serves the hit.
func (h *Hit) Worker() string { return h.worker }

// Thread returns the OS thread that serves the hit in the worker's process, 0 where the service has no threads of its own.
func (h *Hit) Thread() int { return h.thread }

// Call makes a call and waits for its reply, which is the caller's. When ctx ends first the call is cancelled and the outcome is unknown. The error is
// an *Error.
func (h *Hit) Call(ctx context.Context, body []byte) ([]byte, error) {
	frames, err := h.CallWith(ctx, Request{Frames: [][]byte{body}})
	if err != nil {
		return nil, err
	}
	return frames[0], nil
}

// CallWith is Call with all choices. The reply's frames are the caller's.
func (h *Hit) CallWith(ctx context.Context, r Request) ([][]byte, error) {
	p, a, err := h.exchange(ctx, r)
	if err != nil {
		return nil, err
	}
	if a.in != nil {
		return h.collect(ctx, p, a)
	}
	return a.frames, nil
}

// exchange makes a call and waits for its answer, or for the beginning of one in parts.
func (h *Hit) exchange(ctx context.Context, r Request) (*pending, answer, error) {
	p, err := h.start(ctx, r)
	if err != nil {
		return nil, answer{}, h.up.name(err, h.service, h.handle)
	}
	a, err := h.up.await(ctx, p, func() { h.cancel(p) })
	if err != nil {
		return nil, answer{}, h.up.name(err, h.service, h.handle)
	}
	return p, a, nil
}

// start sends a call.
func (h *Hit) start(ctx context.Context, r Request) (*pending, error) {
	if err := unstarted(ctx); err != nil {
		return nil, err
	}
	frames := r.frames()
	if err := h.up.tooLarge(frames); err != nil {
		return nil, err
	}
	p := newPending(r.Progress)
	head := wire.Header{Type: wire.Call, Arg: deadline(ctx)}
	if r.Body != nil {
		if h.res != nil {
			return nil, &Error{Status: wire.BadFlag, Outcome: NeverStarted, Text: "Request.Body cannot be sent on a hit that was opened with Resume: open another one"}
		}
		if r.Size < -1 {
			return nil, &Error{Status: wire.BadFrame, Outcome: NeverStarted, Text: fmt.Sprintf("Request.Size is %d: give the bytes of Body, or -1", r.Size)}
		}
		head.Flags |= wire.More
		frames = append([][]byte{wire.SizeFrame(uint64(r.Size))}, frames...)
	}
	if r.Idempotent && h.direct == nil {
		head.Flags |= wire.Idempotent
	}
	if err := h.lock(ctx); err != nil {
		return nil, err
	}
	defer h.mu.Unlock()
	if h.ended != nil {
		return nil, h.ended.notStarted()
	}
	h.next++
	p.seq, head.Seq = h.next, h.next
	if r.Body != nil {
		p.out = h.outflow(p.seq, uint64(r.Size))
	}
	h.calls = append(h.calls, p)
	h.up.underway.Add(1)
	if h.res != nil {
		p.frames, p.idempotent = frames, r.Idempotent
		p.deadline, _ = ctx.Deadline()
		h.transmit(p)
		return p, nil
	}
	if err := h.send(&head, frames...); err != nil {
		h.next--
		h.calls = h.calls[:len(h.calls)-1]
		h.up.underway.Add(-1)
		return nil, h.unsent()
	}
	if p.out != nil {
		h.sending = p.out
		go h.sendBody(ctx, p, r.Body)
	}
	return p, nil
}

func (e *Error) notStarted() *Error {
	c := *e
	c.Outcome = NeverStarted
	return &c
}

// cancel asks the worker to stop a call. Its late answer is dropped, but keeps its place in the order. A call that was answered meanwhile is left
// alone: if it was refused, its seq may be another call's.
func (h *Hit) cancel(p *pending) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.calls, p)
	if i < 0 && (h.down == nil || h.down.call != p) {
		return
	}
	if i >= 0 && h.res != nil && p.seq > h.res.sent { // it waits for the connection to come back
		p.unsent = true
		h.calls = slices.Delete(h.calls, i, i+1)
		for _, later := range h.calls[i:] {
			later.seq--
		}
		h.next--
		return
	}
	if p.out != nil {
		p.out.stop(errOver)
	}
	_ = h.send(&wire.Header{Type: wire.Cancel, Seq: p.seq})
}

// Close ends the hit: waiting calls are served, then the session is closed on its thread. It returns when that is done, or ctx ends; closing an ended hit
// returns why it ended if that was not by Close. The error is an *Error.
func (h *Hit) Close(ctx context.Context) error {
	h.mu.Lock()
	if h.ended != nil && h.closing == nil {
		e := h.ended
		h.mu.Unlock()
		if e.Status == wire.OK {
			return nil
		}
		return e
	}
	p := h.closing
	if p == nil {
		p = newPending(nil)
		h.closing = p
		h.fall(&Error{Status: wire.IsClosed, Text: "the hit was closed", Service: h.service, Hit: h.handle})
		h.up.underway.Add(1)
		h.up.closeAt(h)
	}
	h.mu.Unlock()
	select {
	case a := <-p.got:
		p.got <- a // for others who close
		return a.err
	case <-ctx.Done():
		e := ctxError(ctx)
		e.Text = "the worker has not closed the session yet, it will when it comes back"
		return h.up.name(e, h.service, h.handle)
	}
}

// answered settles the call that an answer is for, and reports whether there is one. It runs on the client's loop.
func (h *Hit) answered(m *wire.Message) bool {
	h.mu.Lock()
	if h.down != nil || m.Header.Flags.Has(wire.More) {
		h.mu.Unlock()
		if h.streamed(m) {
			return true
		}
		h.mu.Lock()
	}
	i := h.find(m.Header.Seq)
	if i < 0 {
		h.mu.Unlock()
		return false
	}
	p := h.calls[i]
	a := toAnswer(m)
	if refusal(m) {
		a.err = h.takeBack(i, a.err)
	} else if h.res != nil {
		h.noteAnswer(m)
	}
	if i == 0 {
		h.calls[0] = nil
		h.calls = h.calls[1:]
	} else {
		h.calls = append(h.calls[:i], h.calls[i+1:]...)
	}
	h.mu.Unlock()
	h.up.settle(p, a)
	if m.Header.Flags.Has(wire.Last) {
		h.end(wire.OK, 0, "the hit ended with its last call", nil)
	}
	return true
}

// takeBack frees the seq of a call that the broker has refused. The calls made behind it are on their way already and will be refused
// for being out of order: their callers are told the first one's reason, and their seqs count no more. It returns the caller's error. The lock is held.
func (h *Hit) takeBack(i int, err error) error {
	p := h.calls[i]
	if p.doomed != nil {
		return p.doomed
	}
	var reason *Error
	if !errors.As(err, &reason) {
		return err
	}
	h.next = p.seq - 1
	if h.res != nil {
		h.res.sent = h.next
	}
	for _, later := range h.calls[i+1:] {
		if later.doomed == nil {
			later.doomed = reason
		}
	}
	return err
}

func (h *Hit) find(seq uint32) int {
	for i, p := range h.calls {
		if p.seq == seq {
			return i
		}
	}
	return -1
}

// call returns the call with this seq that is under way, nil if there is none.
func (h *Hit) call(seq uint32) *pending {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.find(seq); i >= 0 {
		return h.calls[i]
	}
	return nil
}

// end fails all calls under way and those to come. Calls up to begun may have run.
func (h *Hit) end(status wire.Status, begun uint32, text string, why []byte) {
	if h.direct != nil {
		h.direct.leave()
	}
	h.mu.Lock()
	calls, closing, down := h.calls, h.closing, h.down
	h.calls, h.down = nil, nil
	e := &Error{Status: status, Outcome: NeverStarted, Text: text, Why: why, Service: h.service, Hit: h.handle}
	var waiting *pending
	if r := h.res; r != nil {
		if waiting = r.waiting; r.timer != nil {
			r.timer.Stop()
			r.timer = nil
		}
	}
	if h.ended == nil || status != wire.OK {
		h.fall(e)
	}
	h.mu.Unlock()
	for _, p := range calls {
		failed := *e
		if p.seq <= begun {
			failed.Outcome = Unknown
		}
		h.up.settle(p, answer{err: &failed})
	}
	if waiting != nil {
		failed := *e
		failed.Outcome = Unknown
		h.up.settle(waiting, answer{err: &failed})
	}
	if down != nil {
		failed := *e
		failed.Outcome = Unknown
		h.over(down, &failed)
	}
	if closing == nil {
		return
	}
	a := answer{}
	if status != wire.OK && status != wire.UnknownHit {
		a.err = e
	}
	h.up.settle(closing, a)
}
