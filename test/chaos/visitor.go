package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Load says what visitors do.
type Load struct {
	Name     string // of the client: its keys begin with it
	Only     string // the one kind of hits that are opened; empty: all
	Visitors int    // how many there are at the same time
	Patience time.Duration
	Pause    time.Duration // the longest between two calls
	Stream   int           // the most bytes of a body in parts
	Brisk    bool          // no call takes longer than it must
	Seed     uint64
}

// Crowd makes calls of all kinds with one client.
type Crowd struct {
	load   Load
	client *assigner.Client
	ledger *Ledger
	hits   atomic.Uint64 // made, for keys
	Calls  atomic.Uint64 // ended
}

// NewCrowd returns a crowd that writes down in the ledger what it was told.
func NewCrowd(l Load, c *assigner.Client, ledger *Ledger) *Crowd {
	return &Crowd{load: l, client: c, ledger: ledger}
}

// Run makes calls until ctx ends; then the hits that are open are closed.
func (c *Crowd) Run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range c.load.Visitors {
		v := &visitor{crowd: c, chance: rand.New(rand.NewPCG(c.load.Seed, uint64(i)))}
		all.Go(func() {
			for ctx.Err() == nil {
				v.visit(ctx)
			}
		})
	}
	all.Wait()
}

// visitor does one thing after another.
type visitor struct {
	crowd  *Crowd
	chance *rand.Rand
}

func (v *visitor) visit(ctx context.Context) {
	thing := v.chance.IntN(9)
	if v.crowd.load.Only == "direct" {
		thing = 2
	}
	switch thing {
	case 0, 1:
		v.stay(ctx, "routed", assigner.OpenRequest{})
	case 2, 3:
		v.stay(ctx, "direct", assigner.OpenRequest{Route: assigner.DirectOrRouted})
	case 4:
		v.stay(ctx, "resumable", assigner.OpenRequest{Resume: 20 * time.Second})
	case 5:
		v.handOver(ctx)
	case 6:
		v.stay(ctx, "stream", assigner.OpenRequest{})
	case 7:
		v.stay(ctx, again, assigner.OpenRequest{})
	default:
		for range 1 + v.chance.IntN(10) {
			v.oneShot()
		}
	}
}

// again is the kind of hits whose calls may run more than once, and go to another worker when theirs is lost.
const again = "again"

// newKey returns a key that nobody else has.
func (v *visitor) newKey() string {
	return fmt.Sprintf("%s-%d-%d", v.crowd.load.Name, pid(), v.crowd.hits.Add(1))
}

// patient is how long anything may take. It does not end with the run: what has begun ends by itself.
func (v *visitor) patient() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), v.crowd.load.Patience)
}

// guest is a visitor's hit.
type guest struct {
	*visitor
	hit  *assigner.Hit
	key  string
	kind string
	no   int
}

func (v *visitor) open(kind string, r assigner.OpenRequest) *guest {
	ctx, cancel := v.patient()
	defer cancel()
	key := v.newKey()
	r.Service, r.Session, r.Label = ServiceName, about{key}, key
	if kind == again {
		r.Service = ServiceAgain
	}
	h, err := v.crowd.client.OpenWith(ctx, r)
	if err != nil {
		v.crowd.note(Told{Key: key, Kind: kind}, err, ctx) // it has no call, but an end it must have
		return nil
	}
	if kind == "direct" && !h.Direct() {
		kind = "routed"
	}
	return &guest{v, h, key, kind, 0}
}

// stay opens a hit, makes some calls and closes it.
func (v *visitor) stay(ctx context.Context, kind string, r assigner.OpenRequest) {
	g := v.open(kind, r)
	if g == nil {
		return
	}
	times := 2 + v.chance.IntN(10)
	if v.crowd.load.Brisk && kind != "stream" {
		times = 40
	}
	g.talk(ctx, times)
	g.close()
}

// talk makes calls one by one and in bursts, until one of them fails.
func (g *guest) talk(ctx context.Context, times int) {
	for range times {
		if ctx.Err() != nil {
			return
		}
		size, well := 1, false
		if g.chance.IntN(3) == 0 || g.crowd.load.Brisk {
			size = 2 + g.chance.IntN(6)
		}
		switch {
		case g.kind == "stream":
			well = g.stream()
		case size == 1 && g.crowd.load.Only == "":
			g.no++
			well = g.call(g.no, g.work())
		default:
			well = g.burst(size)
		}
		if !well {
			return
		}
		pause(ctx, g.chance, g.crowd.load.Pause)
	}
}

// pause waits a little.
func pause(ctx context.Context, chance *rand.Rand, most time.Duration) {
	if most <= 0 {
		return
	}
	t := time.NewTimer(time.Duration(chance.Int64N(int64(most))))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// work is how many milliseconds a call takes: most of them next to nothing.
func (g *guest) work() int {
	if g.crowd.load.Brisk {
		return 0
	}
	if g.chance.IntN(10) == 0 {
		return g.chance.IntN(60)
	}
	return g.chance.IntN(2)
}

// burst makes calls at the same time, which wait for each other at the worker. Where there are direct hits only, many wait for the first one: what a worker does that
// has stood still must show.
func (g *guest) burst(size int) bool {
	long := g.crowd.load.Only != ""
	if long {
		size = 20
	}
	if g.crowd.load.Brisk {
		size = 100
	}
	var all sync.WaitGroup
	var failed atomic.Bool
	for i := range size {
		g.no++
		no, ms := g.no, g.work()
		if long {
			ms = 0
			if i == 0 {
				ms = 60
			}
		}
		all.Go(func() {
			if !g.call(no, ms) {
				failed.Store(true)
			}
		})
	}
	all.Wait()
	return !failed.Load()
}

func (g *guest) call(no, ms int) bool {
	ctx, cancel := g.patient()
	defer cancel()
	reply, err := g.hit.CallWith(ctx, assigner.Request{Frames: [][]byte{fmt.Appendf(nil, "%d %d", no, ms)}, Idempotent: g.kind == again})
	t := Told{Key: g.key, No: no, Kind: g.kind}
	if err != nil {
		return g.crowd.note(t, err, ctx)
	}
	t.read(reply[0])
	return g.crowd.reply(t)
}

// read takes a reply apart.
func (t *Told) read(reply []byte) {
	t.Replied = true
	var key string
	var no int
	if _, err := fmt.Sscanf(string(reply), "%s %d %d", &key, &no, &t.Count); err != nil || key != t.Key || no != t.No {
		t.Wrong = fmt.Sprintf("the reply is %.80q", reply)
	}
}

// reply notes a reply, and reports whether the hit can go on.
func (c *Crowd) reply(t Told) bool {
	c.Calls.Add(1)
	c.ledger.Note(t)
	return t.Wrong == ""
}

// stream sends a body in parts and gets it back.
func (g *guest) stream() bool {
	ctx, cancel := g.patient()
	defer cancel()
	g.no++
	t := Told{Key: g.key, No: g.no, Kind: g.kind}
	body := make([]byte, 1+g.chance.IntN(g.crowd.load.Stream))
	for i := range body {
		body[i] = byte(g.chance.Uint32())
	}
	reply, err := g.hit.Stream(ctx, assigner.Request{
		Frames: [][]byte{fmt.Appendf(nil, "%d 0", g.no)}, Body: bytes.NewReader(body), Size: int64(len(body)),
	})
	if err != nil {
		return g.crowd.note(t, err, ctx)
	}
	back, err := io.ReadAll(reply.Body)
	_ = reply.Body.Close()
	if err != nil {
		return g.crowd.note(t, err, ctx)
	}
	t.read(reply.Frames[0])
	if !bytes.Equal(back, body) {
		t.Wrong = fmt.Sprintf("of %d bytes came back %d, or others", len(body), len(back))
	}
	return g.crowd.reply(t)
}

// handOver opens a hit that is taken up by its ticket in the middle, by the same client.
func (v *visitor) handOver(ctx context.Context) {
	g := v.open("resumable", assigner.OpenRequest{Resume: 20 * time.Second})
	if g == nil {
		return
	}
	g.talk(ctx, 2)
	within, cancel := v.patient()
	defer cancel()
	ticket, err := g.hit.Detach(within)
	if err != nil {
		g.close()
		return
	}
	h, err := v.crowd.client.Resume(within, ticket)
	if err != nil {
		v.crowd.note(Told{Key: g.key, Kind: "resumable"}, err, within)
		return
	}
	g.hit = h
	g.talk(ctx, 3)
	g.close()
}

func (v *visitor) oneShot() {
	ctx, cancel := v.patient()
	defer cancel()
	t := Told{Key: v.newKey(), No: 1, Kind: "one-shot"}
	frames, err := v.crowd.client.DoWith(ctx, assigner.OpenRequest{Service: ServiceName, Session: about{t.Key}},
		assigner.Request{Frames: [][]byte{[]byte("1 0")}})
	if err != nil {
		v.crowd.note(t, err, ctx)
		return
	}
	t.read(frames[0])
	v.crowd.reply(t)
}

func (g *guest) close() {
	ctx, cancel := g.patient()
	defer cancel()
	err := g.hit.Close(ctx)
	if err != nil && ctx.Err() != nil {
		g.crowd.ledger.Note(Told{Key: g.key, Kind: g.kind, Lost: true, Status: "its close has not ended: " + err.Error()})
	}
}

// typed are the errors that there may be when faults happen, and nobody is to blame.
var typed = []error{
	assigner.ErrWorkerGone, assigner.ErrBrokerGone, assigner.ErrClosed, assigner.ErrCancelled, assigner.ErrQueueFull, assigner.ErrLeaseOver,
	assigner.ErrReplyLost, assigner.ErrFenced, assigner.ErrPeerSlow, assigner.ErrUnknownService, assigner.ErrInternal,
}

// note notes an error, which must be one that a caller can branch on. It reports false: the hit is left.
func (c *Crowd) note(t Told, err error, ctx context.Context) bool {
	c.Calls.Add(1)
	var e *assigner.Error
	switch {
	case !errors.As(err, &e):
		t.Wrong = "an error that is no *Error: " + err.Error()
	case ctx.Err() != nil && t.No > 0:
		t.Lost = true
	case ctx.Err() == nil && !anyIs(err) && (t.Kind != again || !errors.Is(err, assigner.ErrStuck)):
		t.Wrong = "an error that should not be here: " + err.Error()
	}
	if e != nil {
		t.Status, t.Outcome = e.Status.String(), e.Outcome.String()
		if errors.Is(err, assigner.ErrWorkerGone) && strings.Contains(string(e.Why), `"verdict"`) {
			t.Over = Now()
		}
		if t.Lost {
			t.Status = err.Error()
		}
	}
	c.ledger.Note(t)
	return false
}

func anyIs(err error) bool {
	for _, kind := range typed {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
