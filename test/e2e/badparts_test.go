package e2e_test

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// torn is a raw client's hit, on either route.
type torn struct {
	*rig.Raw
	t      *testing.T
	handle uint64
	epoch  uint32
	counts func(status string) uint64 // of refusals, at whoever judges the client
}

// call makes a call, with an announced size if that is given.
func (h *torn) call(seq uint32, size ...byte) {
	h.t.Helper()
	head := toHit(wire.Call, h.handle, h.epoch, seq)
	if size == nil {
		h.Say(head, []byte("head"))
		return
	}
	head.Flags = wire.More
	h.Say(head, size, []byte("head"))
}

// announced is the frame of a size.
func announced(n uint64) []byte { return wire.SizeFrame(n) }

// allowed waits until the worker has given credit.
func (h *torn) allowed() *torn {
	h.t.Helper()
	require.NotZero(h.t, h.Hear(wire.Credit).Arg)
	return h
}

func (h *torn) part(seq, part uint32, flags wire.Flags, n int) {
	h.t.Helper()
	head := toHit(wire.Part, h.handle, h.epoch, seq)
	head.Part, head.Flags = part, flags
	h.Say(head, make([]byte, n))
}

// either: whether the call had begun when its part came is chance.
const either wire.Outcome = 99

// fails requires that a call is answered by an error.
func (h *torn) fails(seq uint32, status wire.Status, outcome wire.Outcome, words string) {
	h.t.Helper()
	s := h.Hear(wire.Error, wire.Reply)
	require.Equal(h.t, wire.Error, s.Type, "%q", s.Text())
	require.Equal(h.t, status, s.Status, "%s", s.Text())
	require.Equal(h.t, seq, s.Seq, "%s", s.Text())
	if outcome == either {
		require.Contains(h.t, []uint32{uint32(wire.NeverStarted), uint32(wire.Unknown)}, s.Arg, "%s", s.Text())
	} else {
		require.Equal(h.t, uint32(outcome), s.Arg, "%s", s.Text())
	}
	require.Contains(h.t, s.Text(), words)
}

// greedy reads its input to the end and answers with its length; idle waits until it is cancelled, or its input breaks.
func greedy(_ context.Context, c *assigner.Call) ([]byte, error) {
	n, err := io.Copy(io.Discard, c.Input())
	return append([]byte("read "), byte('0'+n%10)), err
}

func idle(ctx context.Context, _ *assigner.Call) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

var badParts = []struct {
	name, service string
	do            func(h *torn)
	counted       string // the refusal, if it is one
}{
	{"out of order", "greedy", func(h *torn) {
		h.call(1, announced(100)...)
		h.allowed().part(1, 2, wire.More, 10)
		h.fails(1, wire.BadPart, wire.Unknown, "part 2 of call 1 follows part 0")
	}, "bad-part"},
	{"twice", "greedy", func(h *torn) {
		h.call(1, announced(100)...)
		h.allowed().part(1, 1, wire.More, 10)
		h.part(1, 1, wire.More, 10)
		h.fails(1, wire.BadPart, wire.Unknown, "part 1 of call 1 follows part 1")
	}, "bad-part"},
	{"beyond the announced size", "greedy", func(h *torn) {
		h.call(1, announced(100)...)
		h.allowed().part(1, 1, wire.More, 101)
		h.fails(1, wire.BadPart, wire.Unknown, "100 were announced")
	}, "bad-part"},
	{"a body that ends early", "greedy", func(h *torn) {
		h.call(1, announced(100)...)
		h.allowed().part(1, 1, 0, 99)
		h.fails(1, wire.BadPart, wire.Unknown, "ends after 99 bytes, 100 were announced")
	}, "bad-part"},
	{"beyond the credit", "greedy", func(h *torn) {
		h.call(1, announced(wire.Unsized)...)
		h.part(1, 1, wire.More, 3<<20)
		h.fails(1, wire.OverCredit, either, "wait for CREDIT")
	}, "over-credit"},
	{"of a call without the flag more", "idle", func(h *torn) {
		h.call(1)
		h.part(1, 1, 0, 10)
		h.fails(1, wire.BadPart, either, "the flag more")
	}, "bad-part"},
	{"after the last one", "idle", func(h *torn) {
		h.call(1, announced(0)...)
		h.part(1, 1, 0, 0)
		h.part(1, 2, 0, 0)
		h.fails(1, wire.BadPart, either, "part")
	}, "bad-part"},
	{"of no call", "greedy", func(h *torn) {
		h.part(7, 1, 0, 10)
		h.fails(0, wire.BadPart, wire.NeverStarted, "call 7")
	}, "bad-part"},
	{"a size that is none", "greedy", func(h *torn) {
		h.call(1, 1, 2, 3)
		h.fails(1, wire.BadFrame, wire.NeverStarted, "the announced size has 8")
	}, "bad-frame"},
	{"a call before the body's end", "greedy", func(h *torn) {
		h.call(1, announced(10)...)
		h.allowed().call(2)
		h.fails(2, wire.BadSeq, wire.NeverStarted, "send ")
		h.part(1, 1, 0, 10)
		require.Equal(h.t, "read 0", h.Hear(wire.Reply).Text(), "call 1 is not harmed")
	}, "bad-seq"},
	{"after CANCEL", "greedy", func(h *torn) {
		h.call(1, announced(wire.Unsized)...)
		h.allowed().part(1, 1, wire.More, 10)
		h.Say(toHit(wire.Cancel, h.handle, h.epoch, 1))
		h.part(1, 2, wire.More, 10)
		h.part(1, 9, 0, 10)
		h.fails(1, wire.Cancelled, wire.Unknown, "")
		h.part(1, 3, 0, 10)
	}, ""},
}

// hit.md, section 15: whatever is wrong with parts is named and counted, fails its own call and nothing else; the hit goes on.
func TestBadParts(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.Path{Transport: "tcp"}), rig.Context(t)
	b := site.Broker(func(c *assigner.BrokerConfig) { c.Grace = -1 })
	w := site.Worker(rig.Services{"greedy": {Handler: greedy}, "idle": {Handler: idle}, "echo": echo}, rig.Slots(len(badParts)*2+1), direct)
	rig.Receive(t, w.Welcomed(), "the worker's welcome")
	honest := open(t, ctx, site.Client(), "echo")
	for _, c := range badParts {
		raw := rig.NewRaw(t, site.Clients).Hello()
		routed, direct := &torn{Raw: raw, t: t, counts: func(s string) uint64 { return b.Counters()["refused_"+s] }}, &torn{t: t}
		routed.handle, routed.epoch = raw.Open(1, c.service)
		ticket := openRaw(raw, 2, c.service)
		direct.Raw = rig.NewRaw(t, ticket.endpoint)
		direct.handle, direct.epoch = ticket.handle, knock(direct.Raw, ticket.handle, ticket.token).Epoch
		direct.counts = func(s string) uint64 { return w.Counters()["refused_"+s] }
		for name, h := range map[string]*torn{"routed": routed, "direct": direct} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				h.t = t
				before := h.counts(c.counted)
				c.do(h)
				if c.counted != "" {
					rig.Until(t, "it is counted", func() bool { return h.counts(c.counted) > before })
				}
				for _, s := range h.Settle() {
					require.NotEqual(t, wire.Error, s.Type, "nothing more is said of it: %s", s.Text())
				}
				requireReply(t, ctx, honest, "on", "on")
			})
		}
	}
}

// hit.md, section 15, 2: "one that goes back is ignored and counted".
func TestCreditThatGoesBack(t *testing.T) {
	site, _ := rig.NewSite(t, rig.Path{Transport: "tcp"}), rig.Context(t)
	b := site.Broker(func(c *assigner.BrokerConfig) { c.Grace = -1 })
	w := site.Worker(rig.Services{"source": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
		out, err := c.Output(-1)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(out, io.LimitReader(zeros{}, 100<<10))
		return nil, err
	}}}, direct)
	rig.Receive(t, w.Welcomed(), "the worker's welcome")
	raw := rig.NewRaw(t, site.Clients).Hello()
	handle, epoch := raw.Open(1, "source")
	ticket := openRaw(raw, 2, "source")
	straight := rig.NewRaw(t, ticket.endpoint)
	for _, h := range []*torn{
		{Raw: raw, t: t, handle: handle, epoch: epoch, counts: func(s string) uint64 { return b.Counters()["refused_"+s] }},
		{Raw: straight, t: t, handle: ticket.handle, epoch: knock(straight, ticket.handle, ticket.token).Epoch, counts: func(s string) uint64 { return w.Counters()["refused_"+s] }},
	} {
		h.call(1)
		require.True(t, h.Hear(wire.Reply).Flags.Has(wire.More))
		credit := toHit(wire.Credit, h.handle, h.epoch, 1)
		for _, kib := range []uint32{64, 32, 64, 200} {
			credit.Arg = kib
			h.Say(credit)
		}
		got := 0
		for more := true; more; {
			s := h.Hear(wire.Part)
			got += len(s.Text())
			more = s.Flags.Has(wire.More)
		}
		require.Equal(t, 100<<10, got)
		rig.Until(t, "it is counted", func() bool { return h.counts("over-credit") == 1 })
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
