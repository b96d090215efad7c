package machine_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// channel is one hit whose calls and replies come in parts. What is under way lies in queues, and chance picks what moves. Each side keeps to the rules, or
// one of them lies about its parts; whoever keeps to them must never see anything wrong, and never half a body as a whole one.
type channel struct {
	*stage
	chance         *rand.Rand
	handle         uint64
	epoch          uint32
	client, worker *link
	ups, downs     []*wire.Message // said and not delivered yet, by the client, by the worker
	asker          asker
	answerer       answerer
	liar           *link // nil: nobody lies
	seen           *sights
}

// sights count what has happened in all channels: a model in which nothing happens proves nothing.
type sights struct{ wholeUp, wholeDown, cancelledUp, early, broken, lies, told int }

// body is one body on its way, as one side knows it.
type body struct {
	seq   uint32
	size  uint64
	moved uint64 // sent or received
	limit uint64 // allowed, by us or to us
	part  uint32
	on    bool // more is to come
}

// letters returns what stands in a body at an offset: it says whose it is.
func letters(seq uint32, from, n uint64) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(uint64(seq)*31 + (from+uint64(i))*7)
	}
	return b
}

// next makes the next part, as much as is allowed at most, nil where nothing can be sent now.
func (b *body) next(chance *rand.Rand, h wire.Header) *wire.Message {
	n := min(uint64(chance.IntN(1500)), b.limit-b.moved)
	if b.size != wire.Unsized {
		n = min(n, b.size-b.moved)
	}
	last := b.size == b.moved+n || b.size == wire.Unsized && chance.IntN(6) == 0
	if n == 0 && !last {
		return nil
	}
	b.part++
	h.Type, h.Seq, h.Part = wire.Part, b.seq, b.part
	if !last {
		h.Flags = wire.More
	}
	b.on = !last
	m := wire.NewMessage(h, letters(b.seq, b.moved, n))
	b.moved += n
	return m
}

// take judges a part that has come: nothing wrong may come through, whoever has sent it. It reports whether the body is whole now.
func (c *channel) take(b *body, m *wire.Message) bool {
	n := uint64(m.BodySize())
	require.True(c.t, b.on, "a part behind the end: %v", m.Header)
	require.Equal(c.t, b.part+1, m.Header.Part, "%v", m.Header)
	require.LessOrEqual(c.t, b.moved+n, b.limit, "more than was allowed: %v", m.Header)
	require.LessOrEqual(c.t, b.moved+n, b.size, "more than was announced: %v", m.Header)
	if c.liar == nil {
		require.Equal(c.t, letters(b.seq, b.moved, n), m.Frame(0))
	}
	b.part++
	b.moved += n
	if b.on = m.Header.Flags.Has(wire.More); b.on {
		return false
	}
	require.True(c.t, b.size == wire.Unsized || b.moved == b.size, "half a body of %d bytes as a whole one of %d", b.moved, b.size)
	return true
}

// allow lets more of a body come.
func (c *channel) allow(b *body) uint32 {
	b.limit = b.limit>>10<<10 + uint64(1+c.chance.IntN(3))<<10
	return wire.CreditArg(b.limit)
}

// size is what a body announces.
func (c *channel) size() uint64 {
	if c.chance.IntN(3) == 0 {
		return wire.Unsized
	}
	return uint64(c.chance.IntN(6000))
}

// lie spoils a part, now and then.
func (c *channel) lie(who *link, m *wire.Message) *wire.Message {
	if c.liar != who || m == nil || c.chance.IntN(4) > 0 {
		return m
	}
	c.seen.lies++
	switch c.chance.IntN(5) {
	case 0:
		m.Header.Part += uint32(1 + c.chance.IntN(2))
	case 1:
		m.Body[0] = make([]byte, 8000)
	case 2:
		m.Header.Flags ^= wire.More
	case 3:
		m.Header.Seq += uint32(c.chance.IntN(3)) - 1
	case 4:
		m.Header.Part = max(m.Header.Part, 2) - 1
	}
	return m
}

func newChannel(t *testing.T, seed uint64, seen *sights) *channel {
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	c := &channel{stage: s.stage, chance: rand.New(rand.NewPCG(seed, 1)), handle: h.handle, epoch: h.epoch, client: h.c.link, worker: h.w.link, seen: seen}
	c.t = seeded{t, seed}
	c.asker.channel, c.answerer.channel = c, c
	switch seed % 4 {
	case 1:
		c.liar = c.client
	case 2:
		c.liar = c.worker
	}
	return c
}

func (c *channel) happen() {
	switch what := c.chance.IntN(10); {
	case what < 2:
		c.asker.act()
	case what < 4:
		c.answerer.act()
	case what < 5:
		c.asker.read()
	case what < 6:
		c.answerer.read()
	case what < 7:
		c.deliverOne(c.client, &c.ups)
	case what < 8:
		c.deliverOne(c.worker, &c.downs)
	default:
		c.turn()
	}
}

func (c *channel) deliverOne(l *link, said *[]*wire.Message) bool {
	if len(*said) == 0 {
		return false
	}
	m := (*said)[0]
	*said = (*said)[1:]
	c.deliver(l, m)
	return true
}

func (c *channel) turn() bool {
	for _, n := range c.nodes {
		if len(n.box) > 0 || !n.up {
			return c.step(n)
		}
	}
	return false
}

// settle moves all that is under way, without anything new but the rest of what has begun.
func (c *channel) settle() {
	for rounds := 0; ; rounds++ {
		require.Less(c.t, rounds, 100_000, "the channel never comes to rest")
		moved := c.turn() || c.deliverOne(c.client, &c.ups) || c.deliverOne(c.worker, &c.downs) || c.asker.read() || c.answerer.read()
		if !moved && len(c.asker.calls) == 0 {
			return
		}
		if !moved {
			c.asker.carryOn()
			c.answerer.act()
		}
	}
}

// Bodies both ways, calls behind each other, cancellations, early answers, replies that break off, one side that lies: see channel.
func TestBodiesInAWorld(t *testing.T) {
	seen := &sights{}
	seeds := uint64(2000)
	if testing.Short() {
		seeds = 200
	}
	for seed := range seeds {
		c := newChannel(t, seed, seen)
		for range 400 {
			c.happen()
		}
		c.conclude(seed)
	}
	t.Logf("%+v", *seen)
	for what, n := range map[string]int{
		"bodies came whole": seen.wholeUp, "replies came whole": seen.wholeDown, "calls were cancelled in the middle of their bodies": seen.cancelledUp,
		"calls were answered before the end of their bodies": seen.early, "replies broke off": seen.broken, "lies were told": seen.lies, "liars were found out": seen.told,
	} {
		require.Positive(t, n, "no %s: the test tests nothing", what)
	}
}

func (c *channel) conclude(seed uint64) {
	if c.liar == nil && seed%8 >= 4 {
		c.settle()
		for _, s := range []wire.Status{wire.BadPart, wire.OverCredit, wire.BadSeq, wire.BadFrame} {
			require.Zero(c.t, c.counts[s], "%v: nobody has done anything wrong", s)
		}
	}
	c.seen.told += c.counts[wire.BadPart] + c.counts[wire.OverCredit]
	c.lose(c.client, "disconnected", "the end") // or in the middle of anything
	c.run()
	c.lose(c.worker, "disconnected", "the end")
	c.run()
	require.Zero(c.t, c.broker.Inventory().Hits)
	require.Empty(c.t, c.stage.handles.inUse)
}
