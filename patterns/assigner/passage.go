package assigner

import (
	"context"
	"crypto/subtle"
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// passage is the direct way between the slot of a hit and its client.
type passage struct {
	front    *front
	slot     *slot
	token    [16]byte
	key      string // public, where the endpoint is encrypted
	used     bool   // the token; the loop's
	accepted uint32 // seq of the last call; the loop's, as the next one
	final    bool   // that was the hit's last
	body     uint32 // seq of the call whose parts are awaited, 0: none; the loop's
	cut      uint32 // seq of the call of which no more parts are wanted; the loop's
	await    int64  // bytes of the window that a client waits with for the lease, 0: none waits; the loop's

	stands   atomic.Int64 // when OPENED was said, by the link's clock; 0: not yet
	guest    atomic.Pointer[bridge.Guest]
	severed  atomic.Bool   // nothing is served or answered any more
	lapsed   atomic.Bool   // a call was refused for the lease: none may follow it
	answered atomic.Uint32 // seq
	bytes    atomic.Uint64 // of bodies, both ways
	signs    atomic.Uint64 // that the thread has given: answers, parts of them, reports of progress
	told     account       // by the last TALLY; the loop's
}

// account is what TALLY tells, and how many signs the thread had given by then.
type account struct {
	answered uint32
	signs    uint64
	busy     bool // calls are under way
}

// tokenVerdict says what became of a token; clients are told the first from the others only.
type tokenVerdict uint8

const (
	tokenGood tokenVerdict = iota
	tokenUnknown
	tokenWrong
	tokenUsed
	tokenExpired
	tokenVerdicts
)

var tokenNames = [tokenVerdicts]string{"direct_welcomed", "token_of_unknown_hit", "token_wrong", "token_used", "token_expired"}

// tokenLife is how long after OPENED a token is good.
const tokenLife = 10 * time.Second

// judge compares a token with the hit's. It belongs to the loop, as does all that follows up to carry.
func (p *passage) judge(now time.Duration, token []byte, err error) tokenVerdict {
	stands := time.Duration(p.stands.Load())
	switch {
	case err != nil || subtle.ConstantTimeCompare(token, p.token[:]) == 0 || stands == 0:
		return tokenWrong
	case p.used || p.severed.Load():
		return tokenUsed
	case now > stands+tokenLife:
		return tokenExpired
	}
	return tokenGood
}

// enter lets the client in; it is welcomed as soon as there is a lease.
func (p *passage) enter(peer wire.Peer, window int64) {
	p.used = true
	p.dismiss()
	window = p.front.worker.hub.loop.Window(peer, window)
	g := p.front.ep.Guest(peer, window)
	if g == nil {
		return
	}
	p.guest.Store(g)
	p.await = window
	p.front.ep.BindHit(p.slot.handle, p.slot.epoch, peer, p.take)
	p.welcome()
}

// welcome tells the client, if there is one that waits, that it may call.
func (p *passage) welcome() {
	if p.await == 0 || !p.holds() {
		return
	}
	w := p.front.worker
	info := wire.WelcomeInfo{
		Broker: w.cfg.Name, Incarnation: w.incarnation, MaxBody: p.slot.from.maxBody.Load(), Window: p.await,
		HeartbeatMS: p.slot.from.tenure.heartbeat, Name: "hit " + strconv.FormatUint(p.slot.handle, 16),
	}
	p.await = 0
	h := wire.Header{Type: wire.Welcome, Flags: wire.Direct, Hit: p.slot.handle, Epoch: p.slot.epoch}
	_ = p.guest.Load().Send(&h, wire.JSON(info))
}

// farewell tells the client that the hit is over, without any answer.
func (p *passage) farewell(status wire.Status, text string) {
	if g := p.guest.Load(); g != nil && !p.severed.Load() {
		h := wire.Header{Type: wire.Error, Flags: wire.Last, Status: status, Hit: p.slot.handle, Epoch: p.slot.epoch, Arg: uint32(wire.Unknown)}
		_ = g.Send(&h, []byte(text))
	}
}

// sever ends the session: what runs is cancelled, and nothing is answered any more.
func (p *passage) sever(status wire.Status, text string) {
	if p.severed.Swap(true) {
		return
	}
	s, w := p.slot, p.slot.worker
	s.cancel(0, w.hub.loop.Now()+time.Hour)
	s.stop()
	s.asked()
	w.mu.Lock()
	pid := s.pid
	w.mu.Unlock()
	if pid != nil {
		w.hub.system.Root.Send(pid, &severance{status, text})
	}
}

// severance tells a slot that its direct way has ended.
type severance struct {
	status wire.Status
	text   string
}

// tally tells the broker what the hit has done since it was told last.
func (p *passage) tally() {
	now := account{signs: p.signs.Load(), answered: p.answered.Load()} // in this order: an answer is a sign
	if now.busy = p.accepted != now.answered; now == p.told {
		return
	}
	p.told = now
	h := wire.Header{Type: wire.Tally, Hit: p.slot.handle, Epoch: p.slot.epoch, Seq: now.answered, Arg: uint32(min(p.bytes.Load()>>10, math.MaxUint32))}
	if now.busy {
		h.Flags = wire.More
	}
	p.slot.from.sendOn(p.slot.peer, &h)
}

// holds reports whether the hit may be served. It is safe for use from any goroutine.
func (p *passage) holds() bool {
	return !p.severed.Load() && p.slot.from.tenure.holds(p.slot.worker.hub.zero)
}

// carries reports whether a message of the slot goes to the client and not to the broker.
func carries(h *wire.Header) bool {
	switch h.Type {
	case wire.Reply, wire.Working, wire.Part, wire.Credit:
		return true
	}
	return h.Type == wire.Error && h.Seq != 0
}

// send sends what the slot says to its client, under the lease only. It is called on the slot's thread.
func (p *passage) send(h *wire.Header, body ...[]byte) {
	g := p.guest.Load()
	if g == nil || !p.holds() {
		return
	}
	for _, b := range body {
		p.bytes.Add(uint64(len(b)))
	}
	p.note(h)
	_ = g.Send(h, body...)
}

// answers reports whether a message ends the answer to its call.
func answers(h *wire.Header) bool {
	switch h.Type {
	case wire.Reply, wire.Part:
		return !h.Flags.Has(wire.More)
	}
	return h.Type == wire.Error && h.Seq != 0
}

// errLeaseOver ends a body that may not be sent any more; its call is being cancelled.
var errLeaseOver = fmt.Errorf("assigner: the direct way is closed, or its lease is over: %w", context.Canceled)

// sendBlock is send of a part, which it takes.
func (p *passage) sendBlock(h *wire.Header, b *zmqsock.Block, n int) error {
	g := p.guest.Load()
	if g == nil || !p.holds() {
		b.Free()
		return errLeaseOver
	}
	p.bytes.Add(uint64(n))
	p.note(h)
	return g.SendBlock(h, b, n)
}

// note takes in what the slot's thread says: all but CREDIT is a sign of it, as at the broker.
func (p *passage) note(h *wire.Header) {
	if answers(h) {
		p.answered.Store(h.Seq)
	}
	if h.Type != wire.Credit {
		p.signs.Add(1)
	}
}

// take takes what the client says of the hit; the bridge has seen to it that the hit is this client's.
func (p *passage) take(m *wire.Message) {
	switch m.Header.Type {
	case wire.Call:
		p.call(m)
	case wire.Part:
		p.part(m)
	case wire.Cancel:
		p.cancel(m)
	case wire.Credit: // of a reply in parts
		if p.slot.credited(m) {
			p.front.refused[wire.OverCredit].Add(1)
		}
	}
}

// call hands a call to the slot, or refuses it as a broker would.
func (p *passage) call(m *wire.Message) {
	if status, text := p.refusal(m); status != wire.OK {
		p.refuse(m, status, text)
		if m.Header.Flags.Has(wire.More) && m.Header.Seq > p.accepted {
			p.cut = m.Header.Seq // its parts may cross the refusal
		}
		return
	}
	if p.cut == m.Header.Seq {
		p.cut = 0
	}
	p.accepted, p.final, p.body = m.Header.Seq, m.Header.Flags.Has(wire.Last), 0
	if m.Header.Flags.Has(wire.More) {
		p.body = m.Header.Seq
		p.slot.announced(m)
	}
	p.bytes.Add(uint64(m.BodySize()))
	w := p.slot.worker
	w.hub.system.Root.Send(p.slot.pid, m.Copy())
}

// part hands a part of a call's body to the slot. One that does not belong there makes the call fail; where the call is over it is dropped.
func (p *passage) part(m *wire.Message) {
	seq := m.Header.Seq
	switch {
	case p.severed.Load(), seq <= p.answered.Load(), seq == p.cut:
		return // it crosses the end in good faith
	case seq != p.body:
		p.spoil(m, &wire.BadMessage{Status: wire.BadPart, Text: fmt.Sprintf("part %d of call %d, of which none is awaited: announce a body by the flag more, and end it once", m.Header.Part, seq)})
		return
	}
	p.bytes.Add(uint64(m.BodySize()))
	if !m.Header.Flags.Has(wire.More) {
		p.body = 0
	}
	if wrong := p.slot.part(m); wrong != nil {
		p.spoil(m, wrong)
	}
}

// cancel stops a call, 0: all. Of its body no more parts are wanted; some may cross the CANCEL.
func (p *passage) cancel(m *wire.Message) {
	if seq := m.Header.Seq; p.body != 0 && (seq == 0 || seq == p.body) {
		p.body, p.cut = 0, p.body
	}
	p.slot.cancel(m.Header.Seq, m.At)
}

// spoil counts a bad part, and makes its call fail: the call is stopped, and answered by what is wrong.
func (p *passage) spoil(m *wire.Message, wrong *wire.BadMessage) {
	if m.Header.Seq > p.accepted {
		c := *m
		c.Header.Seq = 0 // which may be another call's soon
		p.refuse(&c, wrong.Status, wrong.Text)
		return
	}
	p.front.refused[wrong.Status].Add(1)
	p.body, p.cut = 0, m.Header.Seq
	p.slot.spoil(m.Header.Seq, wrong)
	p.slot.cancel(m.Header.Seq, m.At)
}

// maxDirectCalls is how many calls of a direct hit may be under way.
const maxDirectCalls = 256

// refusal judges a call.
func (p *passage) refusal(m *wire.Message) (wire.Status, string) {
	switch limit := p.slot.from.maxBody.Load(); {
	case p.severed.Load(), p.final:
		return wire.IsClosed, "the hit is over: open another one"
	case p.lapsed.Load(), !p.holds():
		return wire.LeaseOver, "the worker has not heard from its broker for too long: open another hit"
	case m.Header.Seq != p.accepted+1:
		return wire.BadSeq, fmt.Sprintf("call %d: %d is next: number calls one by one", m.Header.Seq, p.accepted+1)
	case p.body != 0 && p.body > p.answered.Load():
		return wire.BadSeq, fmt.Sprintf("call %d: parts of call %d are still awaited: send them first, or CANCEL it", m.Header.Seq, p.body)
	case p.accepted-p.answered.Load() >= maxDirectCalls:
		return wire.QueueFull, fmt.Sprintf("%d calls are under way, the limit is %d: wait for answers", p.accepted-p.answered.Load(), maxDirectCalls)
	case int64(m.BodySize()) > limit:
		return wire.TooLarge, fmt.Sprintf("the body has %d bytes, %d are taken (the broker's --max-body): send less", m.BodySize(), limit)
	case m.Header.Flags.Has(wire.More):
		if _, err := wire.ParseSize(wire.Call, m.Frame(0)); err != nil {
			return wire.BadFrame, err.Error()
		}
	}
	return wire.OK, ""
}

// refuse answers a call that never started.
func (p *passage) refuse(m *wire.Message, status wire.Status, text string) {
	p.front.refused[status].Add(1)
	if status == wire.LeaseOver {
		p.lapsed.Store(true) // even if it is renewed after all: calls behind this one would start without it
	}
	h := wire.Header{
		Type: wire.Error, Status: status, Hit: p.slot.handle, Epoch: p.slot.epoch, Seq: m.Header.Seq, Arg: uint32(wire.NeverStarted),
	}
	if g := p.guest.Load(); g != nil {
		_ = g.Send(&h, []byte(text))
	}
}

// admits reports whether a call may still begin, now that its turn has come, and refuses it if not. It is called on the slot's thread.
func (p *passage) admits(m *wire.Message) bool {
	if p.holds() {
		return true
	}
	p.refuse(m, wire.LeaseOver, "the worker has not heard from its broker for too long: open another hit")
	return false
}

// Counters returns what the worker has counted since its start, by name: direct clients welcomed, tokens that opened nothing, threads
// written off and those of them that are zombies still, and messages that were refused, by reason. It is safe for use from any goroutine.
func (w *Worker) Counters() map[string]uint64 {
	c := make(map[string]uint64)
	if w.hub == nil {
		return c
	}
	for i := wire.Status(1); i < wire.Statuses; i++ {
		n := w.hub.loop.Stats().Refused(i)
		if w.front != nil {
			n += w.front.refused[i].Load()
		}
		if n > 0 {
			c["refused_"+i.String()] = n
		}
	}
	if n := w.wroteOff.Load(); n > 0 {
		c["slots_written_off"], c["zombies"] = n, uint64(w.zombies.Load())
	}
	if w.front != nil {
		for i, name := range tokenNames {
			c[name] = w.front.tokens[i].Load()
		}
	}
	return c
}
