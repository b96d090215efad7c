package assigner

import (
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

// front is a worker's endpoint for direct hits: an actor on its loop, which hears of the clients that come there.
type front struct {
	worker   *Worker
	ep       *bridge.Endpoint
	door     doorkeeper
	pid      *actor.PID
	timer    *bridge.Timer
	hits     map[uint64]*passage
	visitors map[wire.Peer]*visitor
	swept    time.Duration // when visitors and tallies were looked at last
	tokens   [tokenVerdicts]atomic.Uint64
	refused  [wire.Statuses]atomic.Uint64 // calls, by reason
}

// visitor is a connection that has said HELLO.
type visitor struct {
	hit   *passage // nil: none, or no more
	until time.Duration
}

// A visitor without a hit is disconnected after this time: its own goodbye is awaited that long.
const visitorPatience = 10 * time.Second

// frontTick wakes the front.
type frontTick struct{}

const frontChild = "direct"

func newFront(w *Worker) *front {
	return &front{worker: w, hits: make(map[uint64]*passage), visitors: make(map[wire.Peer]*visitor)}
}

// fromDirect is what clients say to a worker.
var fromDirect = []wire.Type{wire.Hello, wire.Call, wire.Cancel, wire.Credit, wire.Ping, wire.Pong, wire.Bye, wire.Error, wire.Part}

// child is the front in the link's tree.
func (f *front) child() supervision.ChildSpec {
	return supervision.ChildSpec{ID: frontChild, Start: func() actor.Actor { return f }}
}

// bind opens the endpoint. It runs on the loop.
func (f *front) bind() (err error) {
	w := f.worker
	f.timer = w.hub.loop.NewTimer(f.pid, &frontTick{})
	cfg := bridge.EndpointConfig{Bind: []string{w.cfg.DirectBind}, Keeper: f.pid, Accept: fromDirect, Direct: true, HangUp: true}
	if cfg.Curve, err = f.curve(); err != nil {
		return err
	}
	f.ep, err = w.hub.loop.Open(cfg)
	return err
}

// url is where clients are told to connect; empty without an endpoint.
func (f *front) url() string {
	if f == nil {
		return ""
	}
	at := f.ep.Addrs()[0]
	host := f.worker.cfg.DirectAdvertise
	if host == "" || !strings.HasPrefix(at, "tcp://") {
		return at
	}
	return "tcp://" + host + at[strings.LastIndexByte(at, ':'):]
}

func (f *front) now() time.Duration { return f.worker.hub.loop.Now() }

// Receive is the engine's.
func (f *front) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *wire.Message:
		f.message(m)
	case *wire.PeerGone:
		f.gone(m.Peer, m.Detail)
	case *frontTick:
		f.tick()
	case *actor.Started:
		f.pid = ctx.Self()
	case *actor.Stopping:
		if f.timer != nil {
			f.timer.Stop()
		}
	}
}

// message takes what clients say of no hit: the greeting and goodbye.
func (f *front) message(m *wire.Message) {
	switch m.Header.Type {
	case wire.Hello:
		f.hello(m)
	case wire.Bye:
		f.gone(m.From, "it said BYE")
	}
}

// has reports whether there is a direct hit of the same handle as that of a direct BEGIN, of whichever broker.
func (f *front) has(m *wire.Message) bool {
	return f != nil && m.Header.Flags.Has(wire.Direct) && f.hits[m.Header.Hit] != nil
}

// expect takes a direct BEGIN: a client will come with the token, once the session stands. It runs on the loop.
func (f *front) expect(s *slot, token []byte) {
	p := &passage{front: f, slot: s}
	copy(p.token[:], token)
	p.invite()
	s.direct = p
	f.hits[s.handle] = p
	t := &s.from.tenure
	t.hits++
	f.act(s.from, t.lease.Begin(f.now()))
	t.until.Store(int64(t.lease.Until()))
	f.arm()
}

// gone takes the end of a client's connection: its session is ended.
func (f *front) gone(peer wire.Peer, detail string) {
	v := f.visitors[peer]
	delete(f.visitors, peer)
	if v != nil && v.hit != nil {
		v.hit.sever(wire.Cancelled, "the direct connection of its client is lost: "+detail)
	}
}

// over forgets a hit whose session is closed. It runs on the loop.
func (f *front) over(p *passage) {
	if f.hits[p.slot.handle] != p {
		return
	}
	delete(f.hits, p.slot.handle)
	p.dismiss()
	t := &p.slot.from.tenure
	if t.hits--; t.hits == 0 {
		t.lease.Rest()
	}
	if g := p.guest.Load(); g != nil {
		f.ep.UnbindHit(p.slot.handle)
		if v := f.visitors[g.Peer()]; v != nil {
			v.hit, v.until = nil, f.now()+visitorPatience
		}
	}
	f.arm()
}

// tick does what is due: the lease, the accounts, and visitors that do not leave.
func (f *front) tick() {
	now := f.now()
	if now >= f.swept+tallyEvery {
		f.swept = now
		for _, p := range f.hits {
			p.tally()
		}
		for peer, v := range f.visitors {
			if v.hit == nil && now >= v.until {
				delete(f.visitors, peer)
				f.worker.hub.loop.HangUp(peer, "idle", "it has no hit here")
			}
		}
	}
	for _, e := range f.worker.brokers {
		f.act(e, e.tenure.lease.Tick(now))
	}
	f.arm()
}

// tallyEvery is how often the broker is told what direct hits have done.
const tallyEvery = time.Second / 2

func (f *front) arm() {
	now := f.now()
	at := time.Duration(0)
	for _, e := range f.worker.brokers {
		if due := e.tenure.lease.Deadline(now); due > 0 && (at == 0 || due < at) {
			at = due
		}
	}
	if len(f.hits)+len(f.visitors) > 0 && (at == 0 || f.swept+tallyEvery < at) {
		at = max(f.swept+tallyEvery, now)
	}
	if at == 0 {
		f.timer.Stop()
		return
	}
	f.timer.Set(at)
}

// hello lets a client in that has the token of a hit.
func (f *front) hello(m *wire.Message) {
	refuse := func(status wire.Status, text string) {
		h := wire.Header{Type: wire.Error, Status: status, Hit: m.Header.Hit, Arg: uint32(wire.NeverStarted)}
		_ = f.worker.hub.loop.Outbox().Send(m.From, h, []byte(text))
	}
	v := f.visitors[m.From]
	if v == nil {
		v = &visitor{until: f.now() + visitorPatience}
		f.visitors[m.From] = v
		defer f.arm()
	}
	info, err := wire.ParseHello(m.Frame(0))
	switch {
	case !m.Header.Flags.Has(wire.Direct):
		refuse(wire.BadFlag, "this is a worker's endpoint for direct hits: say HELLO to a broker, or set the flag direct and give hit and token of OPENED")
	case err != nil:
		refuse(wire.BadFrame, err.Error())
	case v.hit != nil:
		refuse(wire.Refused, "this connection has a direct hit already: make another one for each")
	default:
		p, verdict := f.judge(m.Header.Hit, info.Token)
		f.tokens[verdict].Add(1)
		if verdict != tokenGood {
			refuse(wire.BadToken, fmt.Sprintf("the token opens no direct hit here (any more): use it once, within %v of OPENED, for its own hit", tokenLife))
			return
		}
		v.hit = p
		p.enter(m.From, info.Window)
	}
}

// judge looks for the hit that a token opens.
func (f *front) judge(handle uint64, text string) (*passage, tokenVerdict) {
	token, err := hex.DecodeString(text)
	p := f.hits[handle]
	if p == nil {
		return nil, tokenUnknown
	}
	return p, p.judge(f.now(), token, err)
}
