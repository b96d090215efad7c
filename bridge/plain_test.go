package bridge_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge"
)

// TestPlainStoryOnEveryTransport is the whole story of one peer: hello, answer, question, watch, loss, return.
func TestPlainStoryOnEveryTransport(t *testing.T) {
	for _, perFrame := range []bool{false, true} {
		for transport, addr := range plainEndpoints(t) {
			name := transport + "/batched"
			if perFrame {
				name = transport + "/per frame"
			}
			t.Run(name, func(t *testing.T) {
				w := newPlainWorld(t, bridge.Config{PerFrame: perFrame}, bridge.PlainConfig{Bind: []string{addr}})
				tellPlainStory(w)
			})
		}
	}
}

func tellPlainStory(w *plainWorld) {
	self, heard := w.register("greeter")
	addr := w.b.Addrs()[0]
	pid := w.b.PID("anna")

	anna := w.dial(addr, "anna")
	anna.send("greeter", "hello", "")
	m, sender := w.message(heard, "anna's hello")
	require.Equal(w, [][]byte{[]byte("hello"), {}}, m.Frames)
	require.Equal(w, "anna", m.Identity)
	require.True(w, m.From.Equal(pid) && sender.Equal(pid))

	w.system.Root.Send(sender, bridge.Frames{[]byte("welcome"), nil})
	require.Equal(w, []string{"", "welcome", ""}, anna.recv())

	future := w.system.Root.RequestFuture(pid, "how are you?", plainPatience)
	ask := anna.recv()
	require.Equal(w, "how are you?", ask[1])
	anna.send(ask[0], "fine")
	answer, err := future.Result()
	require.NoError(w, err)
	require.Equal(w, "fine", string(plainAs[*bridge.Message](w, answer).Frame(0)))
	require.True(w, plainAs[*bridge.Message](w, answer).From.Equal(pid))

	w.in(self, func(ctx actor.Context) { ctx.Watch(pid); ctx.Request(pid, "and you?") })
	ask = anna.recv()
	require.Equal(w, "greeter", ask[0], "a registered actor sends under its name")
	anna.send(ask[0], "last words")
	anna.close()
	// Terminated is a system message, so it may overtake what waits in the mailbox.
	last := []any{plainReceive(w, heard, "anna's end").message, plainReceive(w, heard, "anna's last words").message}
	if _, ok := last[0].(*bridge.Message); ok {
		slices.Reverse(last)
	}
	require.Equal(w, actor.TerminatedReason_AddressTerminated, plainAs[*actor.Terminated](w, last[0]).Why)
	require.True(w, plainAs[*actor.Terminated](w, last[0]).Who.Equal(pid))
	require.Equal(w, "last words", string(plainAs[*bridge.Message](w, last[1]).Frame(0)))
	w.mustFail(pid, "are you there?")

	again := w.dial(addr, "anna")
	again.send("greeter", "I am back")
	_, sender = w.message(heard, "anna's return")
	require.True(w, sender.Equal(pid))
	w.system.Root.Send(pid, "so you are")
	require.Equal(w, []string{"", "so you are"}, again.recv(), "a PID that was used before the loss reaches the new incarnation")
	require.Empty(w, heard, "Terminated came once")
}

func TestPlainIdentities(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}})
	_, heard := w.register("x")
	addr := w.b.Addrs()[0]
	for _, identity := range []string{"a", "\xff\x00\"\n/", "é", strings.Repeat("long", 63) + "abc", "eleven byte", "~", ""} {
		peer := w.dial(addr, identity)
		peer.send("x", "hello")
		m, sender := w.message(heard, "hello")
		if identity == "" {
			require.Len(t, m.Identity, 5, "libzmq's own")
			require.Zero(t, m.Identity[0])
		} else {
			require.Equal(t, identity, m.Identity)
		}
		w.system.Root.Send(w.b.PID(m.Identity), "by identity")
		require.Equal(t, []string{"", "by identity"}, peer.recv())
		w.system.Root.Send(sender, "by sender")
		require.Equal(t, []string{"", "by sender"}, peer.recv())
	}
	require.EqualValues(t, 7, w.b.Stats().Peers.Load())
	require.EqualValues(t, 7, w.b.Loop().Stats().Peers.Load())
}

// TestPlainLongTalk: bodies around the arena's comfort, and many of them, keep their order and bytes.
func TestPlainLongTalk(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}, Queue: 5000})
	echo := w.spawn(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*bridge.Message); ok {
			ctx.Respond(m) // passing a message on is sending its frames
		}
	})
	require.NoError(t, w.b.Register("echo", echo))
	peer := w.dial(w.b.Addrs()[0], "peer")
	body := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), i*7%3000) }
	for i := range 2000 {
		peer.send("echo", body(i), "tail")
	}
	for i := range 2000 {
		require.Equal(t, []string{"", body(i), "tail"}, peer.recv(), i)
	}
}

// TestPlainDefaultServesREQ: a REQ socket writes an empty frame first and wants one back. It is what DEALERs with an empty address see, too.
func TestPlainDefaultServesREQ(t *testing.T) {
	system := newPlainSystem()
	answer := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*bridge.Message); ok {
			ctx.Respond("you said " + string(m.Frame(0)))
		}
	}))
	w := newPlainWorldOn(t, system, bridge.Config{}, bridge.PlainConfig{Default: answer})
	req := w.dial(w.b.Addrs()[0], "")
	req.send("", "hi")
	require.Equal(t, []string{"", "you said hi"}, req.recv())

	require.NoError(t, system.Root.StopFuture(answer).Wait())
	req.send("", "hi?")
	m := req.recv()
	require.Equal(t, []string{"", "~error", ""}, m[:3])
	require.Contains(t, m[3], "PlainConfig.Default")
}

func TestPlainRefusesUnknownNames(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{})
	_, heard := w.register("known")
	peer := w.dial(w.b.Addrs()[0], "peer")
	peer.send("unknown", "hello")
	m := peer.recv()
	require.Equal(t, []string{"~error", "unknown"}, m[:2])
	require.Contains(t, m[2], `no actor is registered under "unknown"`)
	peer.send("", "hello")
	m = peer.recv()
	require.Equal(t, []string{"", "~error", ""}, m[:3])
	require.EqualValues(t, 2, w.b.Stats().Unknown.Load())

	peer.send("~error", "unknown", "another bridge says so")
	peer.send("~1", "an answer to nothing")
	peer.send("known", "this comes after them")
	w.message(heard, "the last message")
	require.Empty(t, heard)
	require.EqualValues(t, 2, w.b.Stats().Unknown.Load())
	require.EqualValues(t, 2, w.b.Stats().Late.Load(), "what goes to our own addresses is never answered")
	require.Nil(t, peer.next())
}

func TestPlainBadMessages(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{MaxBody: 1000}, bridge.PlainConfig{})
	_, heard := w.register("x")
	peer := w.dial(w.b.Addrs()[0], "peer")
	peer.send("") // a greeting
	w.until("the greeting", func() bool { return w.b.Stats().Peers.Load() == 1 })

	peer.send("x") // a message without a body is one
	m, _ := w.message(heard, "the empty body")
	require.Empty(t, m.Frames)

	most := make([]string, 63)
	most[0] = "x"
	peer.send(most...)
	m, _ = w.message(heard, "62 body frames")
	require.Len(t, m.Frames, 62)
	peer.send(append(most, "one more")...)
	refusal := peer.recv()
	require.Equal(t, []string{"~error", "x"}, refusal[:2])
	require.Contains(t, refusal[2], "63 body frames: at most 62")

	half := strings.Repeat("x", 500)
	peer.send("x", half, half)
	w.message(heard, "1000 bytes")
	peer.send("x", half, half, "!")
	refusal = peer.recv()
	require.Equal(t, []string{"~error", "x"}, refusal[:2])
	require.Contains(t, refusal[2], "1001 bytes of body: the limit is 1000")
	require.Empty(t, heard)
	require.EqualValues(t, 2, w.b.Stats().Bad.Load())

	peer.send("~1", half, half, "an answer may be as bad, but it is not answered")
	peer.send("x")
	w.message(heard, "the last message")
	require.Nil(t, peer.next())
	require.EqualValues(t, 3, w.b.Stats().Bad.Load())
}

func TestPlainNames(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{})
	self, heard := w.register("first")
	require.NoError(t, w.b.Register("second", self))
	peer := w.dial(w.b.Addrs()[0], "peer")
	peer.send("second", "hello")
	_, sender := w.message(heard, "a message to the second name")

	ask := func() []string {
		w.in(self, func(ctx actor.Context) { ctx.Request(sender, "?") })
		return peer.recv()
	}
	require.Equal(t, "first", ask()[0])
	w.b.Unregister("first")
	require.Equal(t, "second", ask()[0])
	w.b.Unregister("second")
	w.b.Unregister("second")
	short := ask()[0]
	require.True(t, strings.HasPrefix(short, "~"), "an actor without a name sends under a short-lived address: %q", short)
	require.Equal(t, short, ask()[0], "and the same as long as it lives")
	peer.send(short, "to you")
	m, _ := w.message(heard, "an answer to the short-lived address")
	require.Equal(t, "to you", string(m.Frame(0)))
	peer.send("first", "gone")
	require.Equal(t, []string{"~error", "first"}, peer.recv()[:2])

	other, _ := w.inbox()
	require.NoError(t, w.b.Register("first", self))
	require.NoError(t, w.b.Register("first", self), "a restarted actor may register again")
	err := w.b.Register("first", other)
	require.ErrorIs(t, err, bridge.ErrNameTaken)
	require.ErrorContains(t, err, `"first" belongs to the actor `+self.Id)
	require.ErrorContains(t, w.b.Register("", self), "1 to 255 bytes")
	require.ErrorContains(t, w.b.Register("~x", self), "the first not '~'")
	require.ErrorContains(t, w.b.Register(strings.Repeat("x", 256), self), "1 to 255 bytes")
	require.ErrorContains(t, w.b.Register("x", nil), "PID")
}

// TestPlainNameEndsWithItsActor: nobody has to unregister who dies.
func TestPlainNameEndsWithItsActor(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{})
	mortal := w.system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	require.NoError(t, w.b.Register("x", mortal))
	require.NoError(t, w.system.Root.StopFuture(mortal).Wait())
	peer := w.dial(w.b.Addrs()[0], "peer")
	peer.send("x", "hello?")
	require.Equal(t, []string{"~error", "x"}, peer.recv()[:2])

	mortal = w.system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	require.NoError(t, w.b.Register("y", mortal))
	require.NoError(t, w.system.Root.StopFuture(mortal).Wait())
	_, heard := w.register("y")
	peer.send("y", "hello")
	w.message(heard, "a message to the successor")
}

// TestPlainForwards: a peer is an actor like any other, so it can also be a sender.
func TestPlainForwards(t *testing.T) {
	w := newPlainWorld(t, bridge.Config{}, bridge.PlainConfig{})
	switchboard := w.spawn(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*bridge.Message); ok {
			ctx.RequestWithCustomSender(w.b.PID(string(m.Frame(0))), bridge.Frames(m.Frames[1:]), ctx.Sender())
		}
	})
	require.NoError(t, w.b.Register("to", switchboard))
	anna, ben := w.dial(w.b.Addrs()[0], "anna"), w.dial(w.b.Addrs()[0], "ben")
	ben.send("")
	w.until("ben", func() bool { return w.b.Stats().Peers.Load() == 1 })
	anna.send("to", "ben", "hello")
	m := ben.recv()
	require.Equal(t, "hello", m[1])
	ben.send(m[0], "hello, anna")
	m = anna.recv()
	require.Equal(t, "hello, anna", m[1])
	anna.send(m[0], "how do you do?")
	require.Equal(t, "how do you do?", ben.recv()[1])
	anna.send("to", "carl", "hello?")
	d := plainReceive(t, w.dead, "a dead letter")
	require.True(t, d.PID.Equal(w.b.PID("carl")) && d.Sender.Equal(w.b.PID("anna")))
	require.Nil(t, anna.next())
}
