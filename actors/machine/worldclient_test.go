package machine_test

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// player is a client of the world.
type player struct {
	*world
	link  *link
	out   []*wire.Message // on its way to the broker
	wild  bool            // says anything
	bye   bool
	opens []*opening
	hits  []*played
}

// opening is an OPEN, which is to be answered once.
type opening struct {
	ref      uint64
	keep     bool // it asks for a hit that can be resumed
	flags    wire.Flags
	body     string // of its call, "" if there is none
	answered bool
}

// played is a hit as its client knows it.
type played struct {
	handle  uint64
	lied    bool      // its worker is a wild one: nothing is known of what it does
	calls   []*asking // not answered yet
	next    uint32
	heard   uint32 // the last answer of the worker
	closes  int    // CLOSEs that may still be answered
	said    int    // what was said since the end, and may get an ERROR
	last    bool
	key     string // "" where it cannot be resumed
	epoch   uint32
	tries   uint32 // RESUMEs without an answer so far
	strange bool   // another client has made calls of it, or may have
	refused bool   // a seq is free again: nothing is said until all has been answered
	over    bool
}

type asking struct {
	seq  uint32
	body string
}

func (w *world) newPlayer() {
	c := &player{world: w, link: w.connect(), wild: w.chance(3, "a wild client")}
	w.clients = append(w.clients, c)
	c.say(wire.Header{Type: wire.Hello}, "{}")
}

func (c *player) say(h wire.Header, body ...string) {
	frames := make([][]byte, len(body))
	for i := range body {
		frames[i] = []byte(body[i])
	}
	require.NoError(c.t, h.Check(len(frames)))
	c.out = append(c.out, wire.NewMessage(h, frames...))
}

func (c *player) question() string {
	c.world.calls++
	return fmt.Sprintf("call %d", c.world.calls)
}

// act does something that a client does.
func (c *player) act() {
	if c.link.gone && !c.bye && !c.wild && c.chance(3, "it comes back") {
		c.comeBack()
		return
	}
	if c.link.gone || c.bye {
		return
	}
	if c.wild && c.chance(2, "nonsense") {
		if m := c.nonsense(fromClients); m != nil {
			c.out = append(c.out, m)
		}
		return
	}
	switch what := c.draw(20, "client does"); {
	case what < 8 || len(c.opens)+len(c.hits) == 0:
		c.open()
	case what < 14:
		c.call()
	case what < 16:
		c.someHit(func(h *played) { c.toHit(h, wire.Header{Type: wire.Cancel, Seq: uint32(c.draw(int(h.next), "seq"))}) })
	case what < 18:
		c.someHit(c.close)
	case what < 19:
		if len(c.opens) > 0 {
			o := c.opens[c.draw(len(c.opens), "open")]
			typ := []wire.Type{wire.Cancel, wire.Close}[c.draw(2, "by reference")]
			c.say(wire.Header{Type: typ, Flags: wire.Ref, Hit: o.ref})
		}
	case c.chance(3, "resumption"):
		c.someHit(c.keepUp)
	case c.chance(4, "bye"):
		c.bye = true
		c.say(wire.Header{Type: wire.Bye})
	}
}

// targets are what hits of the world ask for; x and y are names of workers.
var targets = []string{
	`"worker":"x"`, `"worker":"y","absent":"fail"`, `"where":"worker=x|y"`, `"where":"worker!=x","absent":"fail"`, `"where":"big"`, `"key":"k1"`, `"key":"k2"`, `"member":"6400000001"`,
}

func (c *player) open() {
	o := &opening{ref: uint64(len(c.opens)) + 1, flags: wire.Ref | []wire.Flags{0, wire.First, oneShot}[c.draw(3, "kind of open")]}
	if c.chance(4, "now") {
		o.flags |= wire.Now
	}
	frames := []string{offers[c.draw(len(offers), "service")], ""}
	var options []string
	if o.keep = !o.flags.Has(oneShot) && c.chance(2, "resumable"); o.keep {
		options = append(options, `"resume_ms": 5000`)
	}
	if c.chance(3, "targeted") {
		options = append(options, `"target": {`+targets[c.draw(len(targets), "target")]+`}`)
	}
	if o.flags.Has(oneShot) && c.chance(3, "with an id") {
		options = append(options, fmt.Sprintf(`"task": {"id":"%d-%d","keep_ms":%d}`, c.link.ref, o.ref, c.draw(2, "kept")*2000))
	}
	if len(options) > 0 {
		frames[1] = "{" + strings.Join(options, ",") + "}"
	}
	if o.flags.Has(wire.First) {
		o.body = c.question()
		frames = append(frames, o.body)
		if c.chance(2, "idempotent") {
			o.flags |= wire.Idempotent
			c.twice[o.body] = true
		}
	}
	c.opens = append(c.opens, o)
	c.say(wire.Header{Type: wire.Open, Flags: o.flags, Hit: o.ref, Arg: uint32(c.draw(3, "deadline") * 700)}, frames...)
}

func (c *player) someHit(do func(*played)) {
	if len(c.hits) == 0 {
		return
	}
	if h := c.hits[c.draw(len(c.hits), "hit")]; h.tries == 0 { // else nothing is said to it before RESUMED
		do(h)
	}
}

func (c *player) toHit(h *played, head wire.Header, body ...string) {
	head.Hit, head.Epoch = h.handle, h.epoch
	if h.over {
		h.said++
	}
	c.say(head, body...)
}

func (c *player) call() {
	c.someHit(func(h *played) {
		if h.refused || h.last {
			return
		}
		a := &asking{h.next, c.question()}
		h.calls = append(h.calls, a)
		h.next++
		head := wire.Header{Type: wire.Call, Seq: a.seq}
		if c.chance(6, "the last call") {
			head.Flags, h.last = wire.Last, true
		}
		if !c.chance(4, "not idempotent") {
			head.Flags |= wire.Idempotent
			c.twice[a.body] = true
		}
		c.toHit(h, head, a.body)
	})
}

func (c *player) close(h *played) {
	h.closes++
	h.refused = true // no calls behind CLOSE
	c.toHit(h, wire.Header{Type: wire.Close})
}

// read takes one message off the wire.
func (c *player) read() {
	if len(c.link.inbox) == 0 {
		return
	}
	m := c.link.inbox[0]
	c.link.inbox = c.link.inbox[1:]
	if c.wild || c.bye {
		return
	}
	switch m.Header.Type {
	case wire.Welcome, wire.Bye:
	case wire.Resumed:
		c.resumed(m)
	case wire.Opened, wire.Reply, wire.Working, wire.Error, wire.Closed:
		if m.Header.Flags.Has(wire.Ref) {
			c.heardByRef(m)
		} else {
			c.heardOfHit(m)
		}
	default:
		require.Fail(c.t, "an honest client got", "%v", m.Header)
	}
}

func (c *player) heardByRef(m *wire.Message) {
	require.True(c.t, m.Header.Hit > 0 && m.Header.Hit <= uint64(len(c.opens)))
	o := c.opens[m.Header.Hit-1]
	require.False(c.t, o.answered, "OPEN %d is answered twice, now by %v: %s", o.ref, m.Header, m.Frame(0))
	switch m.Header.Type {
	case wire.Opened:
		require.False(c.t, o.flags.Has(oneShot), "OPENED of a one-shot")
		h := &played{handle: binary.BigEndian.Uint64(m.Frame(0)), key: string(m.Frame(2)), epoch: m.Header.Epoch, next: 1, lied: c.lies[openKey{c.link.ref, o.ref}]}
		if o.body != "" {
			h.calls, h.next = []*asking{{1, o.body}}, 2
		}
		c.hits = append(c.hits, h)
		o.answered = true
	case wire.Working:
		require.True(c.t, o.flags.Has(oneShot))
	case wire.Reply:
		require.True(c.t, o.flags.Has(oneShot) && m.Header.Flags.Has(wire.Last))
		require.True(c.t, c.lies[openKey{c.link.ref, o.ref}] || "re: "+o.body == string(m.Frame(0)))
		o.answered = true
	case wire.Error:
		c.judge(m, o.body, c.lies[openKey{c.link.ref, o.ref}])
		o.answered = true
	}
}

// judge compares what an ERROR says became of a call with what did.
func (c *player) judge(m *wire.Message, body string, lied bool) {
	if body == "" || lied {
		return
	}
	switch wire.Outcome(m.Header.Arg) {
	case wire.NeverStarted:
		c.deny(body, m)
	case wire.Finished:
		require.True(c.t, c.ran[body], "%q did not run, but its error says that it has finished: %v", body, m.Header)
	default: // outcome unknown, reply lost: both may be
	}
}

func (c *player) deny(body string, m *wire.Message) {
	require.False(c.t, c.ran[body], "%q ran, but its client is told that it never started: %v: %s", body, m.Header, m.Frame(0))
	c.denied[body] = true
}

func (c *player) heardOfHit(m *wire.Message) {
	var h *played
	for _, x := range c.hits {
		if x.handle == m.Header.Hit {
			h = x
		}
	}
	require.NotNil(c.t, h, "of a hit that it does not know: %v", m.Header)
	if h.tries > 0 && m.Header.Type == wire.Error {
		c.notResumed(h, m)
		return
	}
	if h.over {
		require.True(c.t, m.Header.Type == wire.Error || m.Header.Type == wire.Closed && m.Header.Status == wire.UnknownHit, "after the end: %v", m.Header)
		h.settleLate(c, m)
		return
	}
	switch m.Header.Type {
	case wire.Working:
	case wire.Closed:
		c.closed(h, m)
	case wire.Reply, wire.Error:
		c.answered(h, m)
	}
}

// settleLate: what was said before the end was known may be answered after it, once.
func (h *played) settleLate(c *player, m *wire.Message) {
	if m.Header.Type == wire.Closed {
		require.Positive(c.t, h.closes, "a CLOSED too many")
		h.closes--
		return
	}
	require.Positive(c.t, h.said, "an ERROR too many: %v: %s", m.Header, m.Frame(0))
	require.Equal(c.t, wire.NeverStarted, wire.Outcome(m.Header.Arg))
	h.said--
}

func (c *player) closed(h *played, m *wire.Message) {
	if m.Header.Status == wire.UnknownHit && h.closes > 0 && len(h.calls) == 0 {
		h.closes--
	}
	h.over = true
	if h.key != "" && m.Header.Status != wire.Fenced && m.Header.Status != wire.UnknownHit {
		c.acknowledge(h)
	}
	h.said = len(h.calls)
	for _, a := range h.calls {
		if a.seq > m.Header.Arg && !h.lied {
			c.deny(a.body, m)
		}
	}
}

func (c *player) answered(h *played, m *wire.Message) {
	i := 0
	for i < len(h.calls) && h.calls[i].seq != m.Header.Seq {
		i++
	}
	if i == len(h.calls) && h.strange {
		return
	}
	require.Less(c.t, i, len(h.calls), "an answer to what was not asked, or a second one: %v: %s", m.Header, m.Frame(0))
	a := h.calls[i]
	h.calls = append(h.calls[:i:i], h.calls[i+1:]...)
	ofWorker := m.Header.Type == wire.Reply || m.Header.Status == wire.LostReply || m.Header.Status >= wire.ServiceError && m.Header.Status <= wire.Panicked
	switch {
	case m.Header.Type == wire.Reply:
		require.True(c.t, h.lied || "re: "+a.body == string(m.Frame(0)))
	case ofWorker:
		c.judge(m, a.body, h.lied)
	default:
		c.judge(m, a.body, h.lied)
		if s := m.Header.Status; s != wire.Cancelled {
			h.refused = true // its seq is free; to use it again while others are under way would be to guess
		}
	}
	if ofWorker {
		require.Greater(c.t, a.seq, h.heard, "answers out of order")
		h.heard = a.seq
	}
	if m.Header.Flags.Has(wire.Last) {
		h.over, h.said = true, len(h.calls)
	}
}
