package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// What a bad worker can say. Its own hits may suffer; nobody else's do.

// rogue is a raw worker, and a hit that an honest client has opened at it.
type rogue struct {
	*rig.Raw
	y     *yard
	begun *rig.Said // BEGIN
	hit   *assigner.Hit
	made  uint32 // calls
}

// newRogue registers a raw worker under a name and has an honest client open a hit of its service, which has the same name.
func newRogue(y *yard, name string) *rogue {
	y.t.Helper()
	r := &rogue{Raw: y.outsider().Ready(name, 4, name), y: y}
	opened := openLater(y.ctx, y.client, name)
	r.begun = r.Hear(wire.Begin)
	r.Say(r.about(wire.Opened, 0))
	o := rig.Receive(y.t, opened, "the honest client's open")
	require.NoError(y.t, o.err)
	r.hit = o.hit
	return r
}

// about is a header of a message about the hit.
func (r *rogue) about(kind wire.Type, seq uint32) wire.Header {
	return toHit(kind, r.begun.Hit, r.begun.Epoch, seq)
}

// serve has the honest client make a call, and answers it as it should.
func (r *rogue) serve() {
	r.y.t.Helper()
	got := callLater(r.y.ctx, r.hit, "question")
	r.made++
	require.Equal(r.y.t, r.made, r.Hear(wire.Call).Seq)
	r.Say(r.about(wire.Reply, r.made), []byte("answer"))
	reply := rig.Receive(r.y.t, got, "the reply")
	require.NoError(r.y.t, reply.err)
	require.Equal(r.y.t, "answer", reply.reply)
}

func TestBadWorkers(t *testing.T) {
	text := []byte("unasked")
	tries := []struct {
		name string
		try  func(y *yard, r *rogue)
		refusal
	}{
		{
			"a reply that nobody asked for", func(_ *yard, r *rogue) { r.Say(r.about(wire.Reply, r.made+1), text) },
			refusal{wire.BadSeq, "REPLY to call 2 of hit", "answer each call once, in order"},
		},
		{
			"a reply twice", func(_ *yard, r *rogue) { r.Say(r.about(wire.Reply, r.made), text) },
			refusal{wire.BadSeq, "REPLY to call 1 of hit", "answer each call once, in order"},
		},
		{
			"a reply to a call far ahead", func(_ *yard, r *rogue) { r.Say(r.about(wire.Reply, 77), text) },
			refusal{wire.BadSeq, "REPLY to call 77 of hit", "answered so far 1, asked so far 1"},
		},
		{
			"OPENED twice", func(_ *yard, r *rogue) { r.Say(r.about(wire.Opened, 0)) },
			refusal{wire.BadSeq, "OPENED of hit", "which is open already"},
		},
		{"a reply under an old epoch", func(_ *yard, r *rogue) {
			h := r.about(wire.Reply, r.made+1)
			h.Epoch--
			r.Say(h, text)
		}, refusal{wire.StaleEpoch, "which is over", "take the epoch from BEGIN"}},
		{"a reply for another worker's hit", func(y *yard, r *rogue) {
			other := newRogue(y, "other")
			other.serve()
			r.Say(other.about(wire.Reply, 2), text)
			other.serve() // it has noticed nothing
		}, refusal{wire.NotOwner, "belongs to another connection", ""}},
		{
			"a reply for no hit", func(_ *yard, r *rogue) { r.Say(toHit(wire.Reply, 0xDEAD, 1, 1), text) },
			refusal{wire.UnknownHit, "REPLY of hit dead, which is over or never was", ""},
		},
		{
			"a free slot too many", func(_ *yard, r *rogue) { r.Say(wire.Header{Type: wire.Ended}) },
			refusal{wire.BadSeq, "ENDED", ""},
		},
		{
			"a client's type", func(_ *yard, r *rogue) { r.Say(r.about(wire.Call, 1), text) },
			refusal{wire.BadType, "CALL is not for this endpoint", "endpoints of their own"},
		},
		{
			"a reply too large", func(_ *yard, r *rogue) { r.Say(r.about(wire.Reply, r.made+1), make([]byte, yardBody), text) },
			refusal{wire.TooLarge, "REPLY with 98311 bytes of body", "send less"},
		},
	}
	eachYard(t, func(y *yard) {
		for _, bad := range tries {
			y.attempt(bad.name, func(y *yard) {
				r := newRogue(y, "rogue")
				r.serve()
				before := y.broker.Counters()
				bad.try(y, r)
				bad.require(y, r.Raw, before)
				r.serve() // the hit has noticed nothing
				r.Close()
			})
		}
	})
}

func TestBadReady(t *testing.T) {
	ready := wire.Header{Type: wire.Ready}
	tries := []struct {
		name, about string
		refusal
	}{
		{"no object", `[]`, refusal{wire.BadFrame, "READY: the JSON frame is not an object", "send {}"}},
		{"no JSON", `{slots}`, refusal{wire.BadFrame, "READY: the JSON frame cannot be read", "invalid character"}},
		{"no services", `{"slots":1}`, refusal{wire.BadFrame, "READY: services is empty", "name at least one service"}},
		{"no slots", `{"services":["x"]}`, refusal{wire.BadFrame, "READY: slots is 0", "from 1 to 65535 are possible"}},
		{"too many slots", `{"services":["x"],"slots":70000}`, refusal{wire.BadFrame, "READY: slots is 70000", "from 1 to 65535 are possible"}},
		{"more busy than there are", `{"services":["x"],"slots":1,"busy":2}`, refusal{wire.BadFrame, "READY: busy is 2 of 1 slots", ""}},
		{"a service with a blank", `{"services":["a b"],"slots":1}`, refusal{wire.BadFrame, `service name "a b"`, "only printable ASCII"}},
		{"strange threads", `{"services":["x"],"slots":1,"threads":"many"}`, refusal{wire.BadFrame, `READY: threads is "many"`, "pinned and shared are possible"}},
		{"a living worker's name", `{"services":["x"],"slots":1,"name":"honest"}`, refusal{wire.NameTaken, `a living worker is named "honest"`, "give this one another name"}},
	}
	eachYard(t, func(y *yard) {
		for _, bad := range tries {
			y.attempt(bad.name, func(y *yard) {
				peer, before := y.outsider(), y.broker.Counters()
				peer.Say(ready, []byte(bad.about))
				bad.require(y, peer, before)
				peer.Ready("better", 1, "better") // it may try again
				peer.Close()
			})
		}
		y.attempt("not READY first", func(y *yard) {
			peer, before := y.outsider(), y.broker.Counters()
			peer.Say(wire.Header{Type: wire.Ended})
			refusal{wire.NotRegistered, "ENDED from a connection that has not said HELLO or READY", "register first"}.require(y, peer, before)
		})
	})
}

// TestASilentWorkersName: the second worker of a name takes the place of the first when that one does not answer.
func TestASilentWorkersName(t *testing.T) {
	eachYard(t, func(y *yard) {
		old := newRogue(y, "twin")
		running := callLater(y.ctx, old.hit, "x")
		old.Hear(wire.Call)
		before := y.broker.Counters()
		young := y.outsider().Ready("twin", 1, "twin") // the old one does not answer the broker's PING
		requireGone(y.t, rig.Receive(y.t, running, "the end of the call").err, "twin", "name claimed")
		y.risen(before, "peers_lost")
		opened := openLater(y.ctx, y.client, "twin")
		begun := young.Hear(wire.Begin)
		young.Say(toHit(wire.Opened, begun.Hit, begun.Epoch, 0))
		require.NoError(y.t, rig.Receive(y.t, opened, "the open at the new one").err)
		y.verify()
	})
}

// TestAnOldIncarnation: what a worker says after its connection was lost, of hits it had then, is about nothing.
func TestAnOldIncarnation(t *testing.T) {
	eachYard(t, func(y *yard) {
		first := newRogue(y, "phoenix")
		running := callLater(y.ctx, first.hit, "x")
		first.Hear(wire.Call)
		first.Close()
		requireGone(y.t, rig.Receive(y.t, running, "the end of the call").err, "phoenix", "disconnected")
		second := newRogue(y, "phoenix")
		before := y.broker.Counters()
		second.Say(first.about(wire.Reply, 1), []byte("late"))
		refusal{wire.UnknownHit, "REPLY of hit", "which is over or never was"}.require(y, second.Raw, before)
		second.serve()
		y.verify()
	})
}
