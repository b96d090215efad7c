package assigner

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"strconv"
	"sync"
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
	name    string
	service *Service
	handle  uint64
	epoch   uint32
	peer    wire.Peer // the connection its hit came on
	thread  *host.Pinned
	oneshot bool

	session Session
	begun   uint32 // seq of the last call that began
	open    bool   // the session stands
	over    bool   // ENDED, or the last answer, is sent

	ctx  context.Context // ends with the hit
	stop context.CancelFunc

	mu        sync.Mutex
	current   *callContext
	running   uint32          // seq of the running call, 0 if none
	admitted  uint32          // seq of the last call that had its turn
	cancelled map[uint32]bool // waiting calls that shall not run
	until     time.Duration   // all calls that arrived up to then shall not run

	// Under the worker's lock:
	pid      *actor.PID
	orphaned bool      // its connection is gone
	counted  wire.Peer // the later connection whose READY counted it as busy
}

// beginning is the first message of a slot's actor.
type beginning struct{ msg *wire.Message }

// begin gives a hit a slot. It runs on the loop; m owns its bytes.
func (w *Worker) begin(m *wire.Message) {
	name := string(m.Frame(0))
	svc, ok := w.cfg.Services[name]
	w.mu.Lock()
	full := w.busy >= w.cfg.Slots
	draining := w.draining
	_, twice := w.slots[m.Header.Hit]
	if !ok || full || draining || twice {
		w.mu.Unlock()
		w.refuse(m, name, ok, full, draining)
		return
	}
	s := &slot{worker: w, name: name, service: &svc, handle: m.Header.Hit, epoch: m.Header.Epoch, peer: w.peer, oneshot: m.Header.Flags.Has(wire.Last)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	w.busy++
	w.slots[s.handle] = s
	w.mu.Unlock()
	w.spawn(s, m)
}

// spawn starts the slot's actor under the sessions' supervisor.
func (w *Worker) spawn(s *slot, m *wire.Message) {
	id := strconv.FormatUint(s.handle, 16) + "-" + strconv.FormatUint(uint64(s.epoch), 16)
	start := &supervision.StartTemporary{ID: id, Actor: s, First: &beginning{m}}
	if s.service.Threads == Goroutines {
		w.link.system.Root.Send(w.sessions, start)
		return
	}
	s.thread = w.threads.take("hit "+strconv.FormatUint(s.handle, 16), s.service.KeepThread)
	w.link.system.Root.Send(w.sessions, &supervision.StartChild{First: start.First, Spec: supervision.ChildSpec{ID: id, Restart: supervision.Temporary,
		Start: func() actor.Actor { return s }, Options: func() []actor.PropsOption {
			return []actor.PropsOption{actor.WithDispatcher(s.thread), actor.WithMailbox(slotMailbox)}
		}}})
}

// slotMailbox is that of all slots; the broker bounds the calls under way per hit.
var slotMailbox = host.Mailbox(host.MailboxConfig{Capacity: host.Unbounded})

// refuse answers a BEGIN that cannot be: the broker's count of slots is wrong, or the worker is leaving.
func (w *Worker) refuse(m *wire.Message, name string, known, full, draining bool) {
	status, text := wire.Internal, "the worker has this session already"
	switch {
	case !known:
		status, text = wire.UnknownService, fmt.Sprintf("this worker does not offer %q", name)
	case draining:
		status, text = wire.Draining, "the worker is about to stop"
	case full:
		status, text = wire.QueueFull, fmt.Sprintf("all %d slots of the worker are busy", w.cfg.Slots)
	}
	h := wire.Header{Type: wire.Ended, Status: status, Hit: m.Header.Hit, Epoch: m.Header.Epoch}
	if m.Header.Flags.Has(wire.Last) {
		h = wire.Header{Type: wire.Error, Flags: wire.Last, Status: status, Hit: m.Header.Hit, Epoch: m.Header.Epoch, Seq: 1, Arg: uint32(wire.NeverStarted)}
	}
	_ = w.link.ep.Sender().Send(&h, []byte(text))
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
		s.worker.link.loop.Do(func() { s.worker.bind(s, self) })
	case *orphanage:
		s.finish(ctx, wire.BrokerGone, "the connection to the broker is lost", supervision.Normal{})
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
		s.call(ctx, m)
	case wire.End:
		s.finish(ctx, wire.OK, "", supervision.Normal{})
	}
}

// begin opens the session on the slot's thread, and runs the first call if it came along.
func (s *slot) begin(ctx actor.Context, m *wire.Message) {
	o := &Opening{Hit: s.handle, Service: s.name}
	if s.thread != nil {
		o.Thread = unix.Gettid()
	}
	if opts, err := wire.ParseOptions(m.Frame(1)); err == nil {
		o.Session = opts.Session
	}
	err := s.protect(func() (err error) {
		s.session, err = s.service.open(s.ctx, o)
		return err
	})
	if err != nil {
		s.openFailed(ctx, err)
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

func (s *slot) openFailed(ctx actor.Context, err error) {
	status := wire.ServiceError
	if _, crashed := err.(*crash); crashed {
		status = wire.Panicked
	}
	if s.oneshot {
		s.over = true
		s.send(wire.Header{Type: wire.Error, Flags: wire.Last, Status: status, Seq: 1, Arg: uint32(wire.NeverStarted)}, []byte("the session could not be opened: "+err.Error()))
		supervision.Exit(ctx, supervision.Normal{})
		return
	}
	s.finish(ctx, status, "the session could not be opened: "+err.Error(), supervision.Normal{})
}

// finish closes the session on its thread, says ENDED and ends the actor.
func (s *slot) finish(ctx actor.Context, status wire.Status, text string, reason supervision.Reason) {
	if s.over {
		return
	}
	s.over = true
	s.closeSession()
	h := wire.Header{Type: wire.Ended, Status: status, Arg: s.begun}
	if text == "" {
		s.send(h)
	} else {
		s.send(h, []byte(text))
	}
	supervision.Exit(ctx, reason)
}

func (s *slot) closeSession() {
	if !s.open {
		return
	}
	s.open = false
	if err := s.protect(s.session.Close); err != nil {
		s.worker.link.logger.Error("a session's Close failed", "hit", strconv.FormatUint(s.handle, 16), "service", s.name, "error", err)
	}
}

// stopping runs when the actor is stopped from outside: the worker ends, or the handler left by runtime.Goexit.
func (s *slot) stopping() {
	s.mu.Lock()
	seq := s.running
	s.running = 0
	s.mu.Unlock()
	if s.over {
		return
	}
	s.over = true
	if seq != 0 {
		s.answerError(seq, wire.Panicked, wire.Unknown, "the service's code ended its goroutine", false)
	}
	s.closeSession()
	s.send(wire.Header{Type: wire.Ended, Status: wire.WorkerGone, Arg: s.begun}, []byte("the worker ended the session"))
}

// send sends on the connection the hit came on; on a later one nobody knows the hit.
func (s *slot) send(h wire.Header, body ...[]byte) {
	h.Hit, h.Epoch = s.handle, s.epoch
	_ = s.worker.link.ep.Sender().SendOn(s.peer, &h, body...)
}

func (s *slot) answerError(seq uint32, status wire.Status, o wire.Outcome, text string, last bool) {
	h := wire.Header{Type: wire.Error, Status: status, Seq: seq, Arg: uint32(o)}
	if last {
		h.Flags = wire.Last
	}
	s.send(h, []byte(text))
}

func (s *slot) progress(seq uint32, done float64, note string) {
	h := wire.Header{Type: wire.Working, Seq: seq, Arg: uint32(math.Round(min(max(done, 0), 1) * 10000))}
	if note == "" {
		s.send(h)
		return
	}
	s.send(h, []byte(note))
}

// crash is a panic of the service's code.
type crash struct {
	value any
	stack []byte
}

// Error returns what was panicked with.
func (c *crash) Error() string { return fmt.Sprint("panic: ", c.value) }

// protect runs the service's code; its panic becomes a *crash.
func (s *slot) protect(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c := &crash{v, debug.Stack()}
			s.worker.link.logger.Error("a service crashed", "service", s.name, "hit", strconv.FormatUint(s.handle, 16), "panic", v, "stack", string(c.stack))
			err = c
		}
	}()
	return fn()
}
