package assigner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/actors/host"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

// slot is one hit at the worker: an actor on a thread of its own, or on goroutines. What has a lock is shared with the loop, which passes
// cancellations by; the rest belongs to the slot's thread.
type slot struct {
	worker  *Worker
	from    *enrolment // where its hit came from
	name    string
	service *Service
	handle  uint64
	epoch   uint32
	peer    wire.Peer // the connection its hit came on
	thread  *host.Pinned
	oneshot bool
	direct  *passage // nil: by way of the broker
	hand    *hand    // whose actor serves it; nil: one of its own

	session Session
	begun   uint32             // seq of the last call that began
	open    bool               // the session stands
	inside  bool               // the service's code runs
	spoilt  bool               // that code has panicked, or left by runtime.Goexit, which takes the thread along
	over    bool               // nothing more is served: ENDED, or the last answer, is sent or about to be
	id      string             // of the actor at its supervisor
	reason  supervision.Reason // why it is over
	freed   bool               // the slot was given back here, and not written off
	tid     atomic.Int32       // of the thread, 0: none of its own
	written atomic.Bool        // off: nothing it says is sent any more
	calling atomic.Bool        // it is counted among those that serve a call

	ctx  context.Context // ends with the hit
	stop context.CancelFunc

	mu        sync.Mutex
	current   *callContext
	running   uint32          // seq of the running call, 0 if none
	final     bool            // the running call is the hit's last
	admitted  uint32          // seq of the last call that had its turn
	cancelled map[uint32]bool // waiting calls that shall not run
	streams   *streams        // bodies in parts; nil until there is one
	until     time.Duration   // all calls that arrived up to then shall not run
	ends      bool            // it was told to end
	stopped   time.Duration   // when what runs was asked to stop, 0: it was not
	closing   time.Duration   // when its closing began, 0: not yet
	promised  time.Duration   // until when the running call may give no sign
	returned  func()          // takes it off the zombies
	back      bool            // its actor has ended

	// Under the worker's lock:
	vacated  bool // the slot is free again
	pid      *actor.PID
	early    []*wire.Message // what came for it before there was a pid
	orphaned bool            // its connection is gone
	counted  wire.Peer       // the later connection whose READY counted it as busy
}

// beginning is the first message of a slot's actor.
type beginning struct {
	slot *slot
	msg  *wire.Message
}

// begin gives a hit a slot. It runs on the loop; m owns its bytes.
func (e *enrolment) begin(m *wire.Message) {
	w, name := e.worker, string(m.Frame(0))
	w.mu.Lock()
	svc, ok := w.offer.known[name]
	draining := w.draining || e.quits
	_, twice := e.slots[m.Header.Hit]
	twice = twice || w.front.has(m)
	free, grown := false, false
	if ok && !draining && !twice {
		free, grown = w.slots.Take()
	}
	if !free {
		e.told.slots = -1 // it is to be told, even what it has been told before
		w.changed()
		w.mu.Unlock()
		e.refuse(m, name, ok, !twice, draining)
		return
	}
	s := &slot{worker: w, from: e, name: name, service: &svc, handle: m.Header.Hit, epoch: m.Header.Epoch, peer: e.peer, oneshot: m.Header.Flags.Has(wire.Last)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	e.slots[s.handle] = s
	if grown {
		e.told.slots, _ = w.slots.Share(e.own()) // the broker has counted it
		w.hub.logger.Info("a slot was made", "slots", w.slots.Size(), "most", w.slots.Max)
	}
	w.changed()
	w.mu.Unlock()
	if m.Header.Flags.Has(wire.Direct) && w.front != nil {
		w.front.expect(s, m.Frame(2))
	}
	w.spawn(s, m)
}

// spawn starts the slot's actor under the sessions' supervisor.
func (w *Worker) spawn(s *slot, m *wire.Message) {
	if s.oneshot && s.service.Threads == Goroutines {
		w.mu.Lock()
		h, fresh := w.handed(s)
		w.mu.Unlock()
		if fresh {
			w.hub.system.Root.Send(w.sessions, &supervision.StartTemporary{ID: h.id, Actor: h, First: &beginning{s, m}})
		} else {
			w.hub.system.Root.Send(h.pid, &beginning{s, m})
		}
		return
	}
	s.id = strconv.FormatUint(s.handle, 16) + "-" + strconv.FormatUint(uint64(s.epoch), 16)
	start := &supervision.StartTemporary{ID: s.id, Actor: s, First: &beginning{s, m}}
	if s.service.Threads == Goroutines {
		w.hub.system.Root.Send(w.sessions, start)
		return
	}
	s.thread = w.threads.take("hit "+strconv.FormatUint(s.handle, 16), s.service.KeepThread)
	w.hub.system.Root.Send(w.sessions, &supervision.StartChild{First: start.First, Spec: supervision.ChildSpec{
		ID: s.id, Restart: supervision.Temporary,
		Start: func() actor.Actor { return s }, Options: func() []actor.PropsOption {
			return []actor.PropsOption{actor.WithDispatcher(s.thread), actor.WithMailbox(w.mailbox)}
		},
	}})
}

// slotMailbox makes the mailboxes of the worker's slots; the broker bounds the calls under way per hit.
func (w *Worker) slotMailbox() actor.MailboxProducer {
	return host.Mailbox(host.MailboxConfig{
		Capacity: host.Unbounded,
		Clock:    func() int64 { return int64(w.hub.loop.Now()) }, Now: func() int64 { return int64(w.hub.loop.Elapsed()) },
	})
}

// refuse answers a BEGIN that cannot be: other brokers' hits have the slots, the broker's count of them is wrong, or the worker is leaving.
func (e *enrolment) refuse(m *wire.Message, name string, known, full, draining bool) {
	status, text := wire.Internal, "the worker has this session already"
	switch {
	case !known:
		status, text = wire.UnknownService, fmt.Sprintf("this worker does not offer %q", name)
	case draining:
		status, text = wire.Draining, "the worker is about to stop"
	case full:
		status, text = wire.SlotTaken, fmt.Sprintf("all %d slots of the worker are busy", e.worker.cfg.MaxSlots)
		if len(e.worker.brokers) > 1 {
			text += ", some of them with hits of other brokers"
		}
		text += ": open again"
	}
	h := wire.Header{Type: wire.Ended, Status: status, Hit: m.Header.Hit, Epoch: m.Header.Epoch}
	if m.Header.Flags.Has(wire.Last) {
		h = wire.Header{Type: wire.Error, Flags: wire.Last, Status: status, Hit: m.Header.Hit, Epoch: m.Header.Epoch, Seq: 1, Arg: uint32(wire.NeverStarted)}
	}
	e.send(&h, []byte(text))
}

// Receive is the engine's.
func (s *slot) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *wire.Message:
		s.message(ctx, m)
	case *beginning:
		s.begin(ctx, m.msg)
	case *actor.Started:
		self := ctx.Self()
		s.worker.hub.loop.Do(func() { s.from.bind(s, self) })
	case *orphanage:
		s.finish(ctx, wire.BrokerGone, "the connection to the broker is lost")
	case *severance:
		s.finish(ctx, m.status, m.text)
	case *actor.Stopping:
		s.stopping()
	case *actor.Stopped:
		s.worker.release(s)
	}
}

func (s *slot) message(ctx actor.Context, m *wire.Message) {
	if s.over || m.Header.Epoch != s.epoch {
		return // said to a session that has ended meanwhile; ENDED tells
	}
	switch m.Header.Type {
	case wire.Call:
		if s.direct == nil || s.direct.admits(m) {
			s.call(ctx, m)
		}
	case wire.End:
		s.finish(ctx, wire.OK, "")
	}
}

// begin opens the session on the slot's thread, and runs the first call if it came along.
func (s *slot) begin(ctx actor.Context, m *wire.Message) {
	if s.over {
		return // what the loop has to say may overtake the supervisor's first message: it ended before it began
	}
	o := &Opening{Hit: s.handle, Service: s.name}
	if s.thread != nil {
		o.Thread = unix.Gettid()
		s.tid.Store(int32(o.Thread))
	}
	if opts, err := wire.ParseOptions(m.Frame(1)); err == nil {
		o.Session = opts.Session
	}
	run := s.opening(m)
	err := s.protect(func() (err error) {
		if s.session, err = s.service.open(run, o); err == nil && s.session == nil {
			err = errors.New("Service.Open returned neither a session nor an error")
		}
		return err
	})
	stopped := run.Err()
	s.opened()
	if err != nil {
		s.openFailed(ctx, err, stopped)
		return
	}
	s.open = true
	if !s.oneshot {
		s.send(wire.Header{Type: wire.Opened, Arg: uint32(o.Thread)})
	}
	if m.Header.Flags.Has(wire.First) {
		c := *m
		c.Body = m.Body[2:]
		s.call(ctx, &c)
	}
}

// openFailed ends a hit whose session was not opened; stopped says whether it was asked to give up.
func (s *slot) openFailed(ctx actor.Context, err, stopped error) {
	status := wire.ServiceError
	if crashed := (*crash)(nil); errors.As(err, &crashed) {
		status = wire.Panicked
	} else if stopped != nil && errors.Is(err, stopped) {
		status = wire.Cancelled
	}
	text := "the session could not be opened: " + err.Error()
	if s.oneshot {
		s.end(wire.Header{Type: wire.Error, Flags: wire.Last, Status: status, Seq: 1, Arg: uint32(wire.NeverStarted)}, s.clip(text))
		s.exit(ctx, supervision.Normal{})
		return
	}
	s.finish(ctx, status, text)
}

// finish says ENDED and ends the actor.
func (s *slot) finish(ctx actor.Context, status wire.Status, text string) {
	if s.over {
		return
	}
	s.ended(status, text)
	s.exit(ctx, supervision.Normal{})
}

// exit ends the slot's own actor; a hand looks itself.
func (s *slot) exit(ctx actor.Context, reason supervision.Reason) {
	if s.reason = reason; s.hand == nil {
		supervision.Exit(ctx, reason)
	}
}

func (s *slot) ended(status wire.Status, text string) {
	h := wire.Header{Type: wire.Ended, Status: status, Arg: s.begun}
	if text == "" {
		s.end(h)
	} else {
		s.end(h, s.clip(text))
	}
}

// end closes the session on its thread, frees the slot, and says the hit's last word: in this order, since the broker gives the slot to
// another hit as soon as it hears of it. The last word is said even if Close leaves by runtime.Goexit.
func (s *slot) end(word wire.Header, body ...[]byte) {
	s.endBy(func() { s.send(word, body...) })
}

// endBy is end with the last word in say.
func (s *slot) endBy(say func()) {
	s.over = true
	defer func() { s.freed = s.worker.vacate(s, say) }()
	s.closeSession()
}

func (s *slot) closeSession() {
	if !s.open {
		return
	}
	s.open = false
	s.mu.Lock()
	s.closing = max(s.worker.hub.loop.Now(), 1)
	s.mu.Unlock()
	if err := s.protect(s.session.Close); err != nil {
		s.worker.hub.logger.Error("a session's Close failed", "hit", strconv.FormatUint(s.handle, 16), "service", s.name, "error", err)
	}
}

// stopping runs when the actor is stopped from outside: the worker ends, or the handler left by runtime.Goexit.
func (s *slot) stopping() {
	if s.over {
		return
	}
	if !s.inside {
		s.ended(wire.WorkerGone, "the worker ended the session")
		return
	}
	s.mu.Lock()
	seq, final, run := s.running, s.final, s.current
	s.running, s.current = 0, nil
	s.mu.Unlock()
	if run != nil {
		run.cancel(context.Canceled)
	}
	const text = "the service's code ended its goroutine: its session is lost, open another hit"
	switch {
	case seq != 0:
		s.answerError(seq, wire.Panicked, wire.Unknown, text, final)
	case s.oneshot: // while it was opened
		s.answerError(1, wire.Panicked, wire.NeverStarted, text, true)
	}
	if !s.over {
		s.ended(wire.Panicked, text)
	}
}

// send sends on the connection the hit came on; on a later one nobody knows the hit.
func (s *slot) send(h wire.Header, body ...[]byte) {
	if s.written.Load() {
		return // the last word was said for it
	}
	h.Hit, h.Epoch = s.handle, s.epoch
	if s.direct != nil {
		s.sendDirect(h, body)
		return
	}
	s.from.sendOn(s.peer, &h, body...)
}

func (s *slot) answerError(seq uint32, status wire.Status, o wire.Outcome, text string, last bool) {
	s.answer(wire.Header{Type: wire.Error, Status: status, Seq: seq, Arg: uint32(o)}, last, s.clip(text))
}

// answer answers a call; with last it ends the hit.
func (s *slot) answer(h wire.Header, last bool, body ...[]byte) {
	if last {
		h.Flags = wire.Last
		s.end(h, body...)
		return
	}
	s.send(h, body...)
}

func (s *slot) progress(seq uint32, done float64, note string) {
	if math.IsNaN(done) {
		done = 0
	}
	s.promise(s.service.Lease)
	h := wire.Header{Type: wire.Working, Seq: seq, Arg: uint32(math.Round(min(max(done, 0), 1) * 10000))}
	if note == "" {
		s.send(h)
		return
	}
	s.send(h, s.clip(note))
}

// crash is a panic of the service's code.
type crash struct {
	value any
	stack []byte
}

// Error returns what was panicked with.
func (c *crash) Error() string { return fmt.Sprint("panic: ", c.value) }

// protect runs the service's code; its panic becomes a *crash. The stack of a thread that does not come back is found by it: supervision.StackOf.
//
//go:noinline
func (s *slot) protect(fn func() error) (err error) {
	s.inside = true
	defer func() {
		s.spoilt = s.spoilt || s.inside
		if v := recover(); v != nil {
			c := &crash{v, debug.Stack()}
			s.worker.hub.logger.Error("a service crashed", "service", s.name, "hit", strconv.FormatUint(s.handle, 16), "panic", v, "stack", string(c.stack))
			err = c
			s.inside = false
		}
	}()
	err = fn()
	s.inside = false
	return err
}
