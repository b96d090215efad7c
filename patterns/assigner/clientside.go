package assigner

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"runtime/debug"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// clientSide is the uplink as its registrar sees it, on the loop.
type clientSide uplink

func (s *clientSide) greet() {
	_ = s.link.ep.Sender().Send(&wire.Header{Type: wire.Hello}, wire.JSON(wire.HelloInfo{Name: s.cfg.Name, Lang: "go", BeatMS: s.link.beat.Milliseconds()}))
}

func (s *clientSide) usable(w wire.WelcomeInfo) {
	u := (*uplink)(s)
	if u.fleet != nil {
		if other := u.fleet.twin(u, w.Incarnation); other != nil {
			u.link.registrar.refuse(&Error{
				Status: wire.BadFrame, Outcome: NeverStarted, cause: ErrSameBroker,
				Text: "the brokers at " + other.cfg.Broker + " and " + u.cfg.Broker + " are one and the same: name it once",
			})
			return
		}
		defer u.fleet.came(u)
	}
	defer func() { u.takeUpAll(w.Incarnation, u.link.ep.Broker()) }()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.incarnation, u.maxResume = w.Incarnation, time.Duration(w.MaxResumeMS)*time.Millisecond
	u.maxBody.Store(w.MaxBody)
	u.window.Store(w.Window)
	u.peer = u.link.ep.Broker()
	if !u.isUp {
		u.isUp = true
		close(u.up)
	}
}

// lost fails everything that was under way on the connection that is gone.
func (s *clientSide) lost(reason string) {
	u := (*uplink)(s)
	u.mu.Lock()
	u.reason, u.why = reason, u.link.registrar.watch.reason()
	if u.isUp {
		u.isUp = false
		u.up = make(chan struct{})
	}
	u.mu.Unlock()
	if u.fleet != nil {
		u.fleet.left(u)
	}
	u.failAll(u.gone(Unknown), true)
}

func (s *clientSide) failed(status wire.Status, reason string) {
	s.link.logger.Error("the broker refuses this client", "status", status.String(), "reason", reason)
}

// failAll ends all hits, opens and requests with this error; calls under way have an unknown outcome. With keep, hits that can be resumed are adrift
// from here on.
func (u *uplink) failAll(e *Error, keep bool) {
	u.mu.Lock()
	opens, hits := u.opens, u.hits
	u.opens, u.hits = make(map[uint64]*pending), make(map[uint64]*Hit)
	for handle, h := range hits {
		if keep && h.res != nil {
			u.hits[handle] = h
		}
	}
	u.mu.Unlock()
	for _, p := range opens {
		failed := *e
		failed.Outcome = p.outcome()
		u.settle(p, answer{err: &failed})
	}
	for _, h := range hits {
		if keep && h.res != nil {
			h.drift()
			continue
		}
		h.end(e.Status, 1<<32-1, e.Text, e.Why)
	}
}

// message takes everything but the registration.
func (s *clientSide) message(m *wire.Message) {
	u := (*uplink)(s)
	if u.fleet != nil {
		u.fleet.heard(u)
	}
	switch m.Header.Type {
	case wire.Reply, wire.Error:
		u.answered(m)
	case wire.Part:
		if h := u.hit(m.Header.Hit); h != nil && h.part(m) {
			u.drop(m.Header.Hit)
		}
	case wire.Credit:
		if h := u.hit(m.Header.Hit); h != nil {
			h.credited(m)
		}
	case wire.Working:
		u.working(m)
	case wire.Opened:
		u.opened(m)
	case wire.Closed:
		u.hitClosed(m)
	case wire.Resumed:
		u.resumed(m)
	case wire.Moved:
		u.moves(u, m)
	case wire.Vitals:
		if p := u.takeOpen(uint64(m.Header.Arg)); p != nil {
			u.settle(p, toAnswer(m))
		}
	case wire.Report:
		if p := u.takeOpen(uint64(m.Header.Arg)); p != nil {
			u.settle(p, toAnswer(m))
		}
	}
}

func (u *uplink) hit(handle uint64) *Hit {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.hits[handle]
}

func (u *uplink) takeOpen(ref uint64) *pending {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.opens[ref]
	delete(u.opens, ref)
	return p
}

func (u *uplink) answered(m *wire.Message) {
	if m.Header.Flags.Has(wire.Ref) {
		if p := u.takeOpen(m.Header.Hit); p != nil {
			u.settle(p, toAnswer(m))
		}
		return
	}
	h := u.hit(m.Header.Hit)
	if h != nil && h.res != nil && h.resumeRefused(m) {
		return
	}
	if h != nil && h.answered(m) {
		if m.Header.Flags.Has(wire.Last) {
			u.drop(m.Header.Hit)
		}
		return
	}
	if m.Header.Type == wire.Error && m.Header.Hit == 0 {
		u.adminRefused(m)
	}
}

// adminRefused: an ERROR to an ADMIN has its arg as seq.
func (u *uplink) adminRefused(m *wire.Message) {
	u.link.logger.Warn("the broker refused a message", "status", m.Header.Status.String(), "text", string(m.Frame(0)))
	if p := u.takeOpen(uint64(m.Header.Seq)); p != nil {
		u.settle(p, toAnswer(m))
	}
}

func (u *uplink) working(m *wire.Message) {
	if m.Header.Flags.Has(wire.Ref) {
		u.mu.Lock()
		p := u.opens[m.Header.Hit]
		u.mu.Unlock()
		u.report(p, m)
		return
	}
	if h := u.hit(m.Header.Hit); h != nil {
		u.report(h.call(m.Header.Seq), m)
	}
}

// report tells the caller of p, if there is one, how far it has come.
func (u *uplink) report(p *pending, m *wire.Message) {
	if p == nil || p.progress == nil || p.settled.Load() {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			u.link.logger.Error("a Progress function panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	p.progress(Progress{Done: float64(m.Header.Arg) / 10000, Note: string(m.Frame(0))})
}

// opened makes the hit; if nobody wants it any more it is closed at once.
func (u *uplink) opened(m *wire.Message) {
	u.mu.Lock()
	p := u.opens[m.Header.Hit]
	delete(u.opens, m.Header.Hit)
	if p == nil || len(m.Frame(0)) != 8 {
		u.mu.Unlock()
		if p != nil {
			u.settle(p, answer{err: &Error{Status: wire.BadFrame, Outcome: p.outcome(), Text: "the broker's OPENED has no handle: is it a HIT/1 broker?"}})
		}
		return
	}
	handle := binary.BigEndian.Uint64(m.Frame(0))
	h := &Hit{up: u, handle: handle, epoch: m.Header.Epoch, peer: m.From, service: p.service, worker: string(m.Frame(1)), thread: int(m.Header.Arg)}
	if m.Header.Flags.Has(wire.Direct) {
		h.direct = newDirectWay(u, h, m)
	}
	if key := m.Frame(2); len(key) == 16 {
		h.res = &resumption{limit: min(p.resume, u.maxResume), incarnation: u.incarnation, up: true}
		copy(h.res.key[:], key)
	}
	u.hits[handle] = h
	u.mu.Unlock()
	if !u.settle(p, answer{hit: h}) {
		u.closeAt(h)
	}
}

func (u *uplink) hitClosed(m *wire.Message) {
	if m.Header.Flags.Has(wire.Ref) {
		return
	}
	h := u.hit(m.Header.Hit)
	if h != nil && h.direct != nil && h.direct.closed(m) {
		return
	}
	u.drop(m.Header.Hit)
	if h != nil && h.res != nil && m.Header.Status != wire.Fenced {
		h.mu.Lock()
		h.acknowledge(m.Header.Epoch)
		h.mu.Unlock()
	}
	if h != nil {
		h.end(m.Header.Status, m.Header.Arg, string(m.Frame(0)), clone(m.Frame(1)))
	}
}

func (u *uplink) drop(handle uint64) {
	u.mu.Lock()
	delete(u.hits, handle)
	u.mu.Unlock()
}

// toAnswer turns a REPLY, REPORT or ERROR into an answer that owns its bytes.
func toAnswer(m *wire.Message) answer {
	var a answer
	if m.Header.Flags.Has(wire.Ref) {
		a.member = m.Header.Epoch
	}
	switch {
	case m.Header.Type == wire.Error:
		a.err = &Error{Status: m.Header.Status, Outcome: outcomeOf(m.Header.Arg), Text: string(m.Frame(0)), Why: clone(m.Frame(1))}
	case len(m.Body) == 1:
		a.frames = [][]byte{append(make([]byte, 0, len(m.Body[0])), m.Body[0]...)}
	default:
		a.frames = m.Copy().Body
	}
	return a
}

// outcomeOf reads an outcome; what this library does not know may mean anything.
func outcomeOf(arg uint32) Outcome {
	if o := Outcome(arg); o <= ReplyLost {
		return o
	}
	return Unknown
}

// refusal reports an ERROR of the broker that refused a call before it reached the worker: its seq is free again. Workers
// answer calls with other statuses.
func refusal(m *wire.Message) bool {
	switch m.Header.Status {
	case wire.BadFrame, wire.BadVersion, wire.BadType, wire.BadFlag, wire.TooLarge, wire.BadSeq, wire.QueueFull, wire.PeerSlow, wire.WorkerGone, wire.StaleEpoch:
		return m.Header.Type == wire.Error && m.Header.Arg == uint32(wire.NeverStarted)
	}
	return false
}

func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

func randomName() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
