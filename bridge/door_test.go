package bridge

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

func TestHelloRegisters(t *testing.T) {
	for name, at := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			perPath(t, func(t *testing.T, cfg Config) {
				w := newWorld(t, cfg, at, true)
				a, b := w.join(0), w.join(1<<20)
				require.NotEqual(t, a.ref, b.ref)
				require.EqualValues(t, 2, w.loop.Stats().Peers.Load())
				a.alive()
				b.alive()
				a.say(wire.Header{Type: wire.Open, Hit: 7, Flags: wire.Ref}, []byte("service"), nil)
				m := w.message(wire.Open)
				require.Equal(t, a.ref, m.From)
				require.Equal(t, [][]byte{[]byte("service"), {}}, m.Body)
				require.Equal(t, wire.HeaderSize+len("service"), m.Size)
			})
		})
	}
}

func TestStrangersAreToldAFewTimes(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", true)
		p := w.dial()
		for range answersPerStranger + 5 {
			p.say(wire.Header{Type: wire.Call, Hit: 9, Epoch: 8, Seq: 7}, []byte("body"))
		}
		for range answersPerStranger {
			h := p.hearError(wire.NotRegistered, "CALL", "HELLO or READY", "register first")
			require.Equal(t, []any{uint64(9), uint32(8), uint32(7)}, []any{h.Hit, h.Epoch, h.Seq})
		}
		p.say(wire.Header{Type: wire.Hello}, []byte("{}"))
		w.message(wire.Hello)
		p.hear(wire.Welcome)
		require.EqualValues(t, answersPerStranger+5, w.loop.Stats().Refused(wire.NotRegistered))
		require.EqualValues(t, 5, w.loop.Stats().Ignored.Load())
	})
}

// What a flood of strangers leaves behind is bounded.
func TestStrangersAreForgotten(t *testing.T) {
	var s strangers
	for i := range 5 * maxStrangers {
		require.True(t, s.mayAnswer([]byte(fmt.Sprint(i))))
		require.LessOrEqual(t, len(s), maxStrangers)
	}
}

func TestChosenIdentitiesAreRefused(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", true)
		for i, id := range []string{"a", "fiver", "worker-17", text(20), text(255)} {
			p := w.dialAs(zmqsock.Config{Kind: zmqsock.Dealer, Identity: id})
			p.say(wire.Header{Type: wire.Hello}, []byte("{}"))
			p.hearError(wire.BadIdentity, id, "leave ZMQ_ROUTING_ID unset")
			require.EqualValues(t, i+1, w.loop.Stats().Refused(wire.BadIdentity))
		}
		require.Zero(t, w.loop.Stats().Peers.Load())
	})
}

// nonsense is a message that is not HIT/1, or not for this endpoint.
type nonsense struct {
	name   string
	status wire.Status
	words  []string
	frames frames
}

func header(edit func(b []byte)) []byte {
	h := wire.Header{Type: wire.Call, Hit: 5, Seq: 3}
	b := h.Bytes()
	edit(b)
	return b
}

func many(n int) frames {
	all := frames{header(func([]byte) {})}
	for range n {
		all = append(all, []byte("x"))
	}
	return all
}

func allNonsense(maxBody int) []nonsense {
	return []nonsense{
		{"no header", wire.BadFrame, []string{"0 bytes", "frame of its own"}, frames{{}}},
		{"short header", wire.BadFrame, []string{"31 bytes"}, frames{make([]byte, 31)}},
		{"long header", wire.BadFrame, []string{"33 bytes"}, frames{make([]byte, 33), []byte("x")}},
		{"magic", wire.BadVersion, []string{`"XX"`, "HIT/1 only"}, frames{header(func(b []byte) { copy(b, "XX") }), []byte("x")}},
		{"version", wire.BadVersion, []string{"version 2", "matching client"}, frames{header(func(b []byte) { b[2] = 2 }), []byte("x")}},
		{"type", wire.BadType, []string{"type 200"}, frames{header(func(b []byte) { b[3] = 200 }), []byte("x")}},
		{"type of another endpoint", wire.BadType, []string{"BEGIN", "endpoints of their own"}, frames{header(func(b []byte) { b[3] = 49 }), []byte("x"), []byte("y")}},
		{"flag", wire.BadFlag, []string{"CALL", "0x0080"}, frames{header(func(b []byte) { b[5] = 0x80 }), []byte("x")}},
		{"part", wire.BadFrame, []string{"part 1"}, frames{header(func(b []byte) { b[27] = 1 }), []byte("x")}},
		{"frames missing", wire.BadFrame, []string{"0 frames", "at least 1"}, many(0)},
		{"frames too many", wire.BadFrame, []string{"61 frames", "at most 60"}, many(61)},
		{"frames beyond the batch's limit", wire.BadFrame, []string{"200 frames", "at most 60"}, many(200)},
		{"too large", wire.TooLarge, []string{fmt.Sprint(maxBody + 1), fmt.Sprintf("limit is %d", maxBody)}, frames{header(func([]byte) {}), make([]byte, maxBody), {1}}},
	}
}

// Each kind of nonsense is answered in its own words and counted, and costs nobody anything.
func TestNonsenseIsAnsweredInItsOwnWords(t *testing.T) {
	const maxBody = 5000
	perPath(t, func(t *testing.T, cfg Config) {
		cfg.MaxBody = maxBody
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", true)
		peer, bystander := w.join(0), w.join(0)
		said := map[string]string{}
		for _, x := range allNonsense(maxBody) {
			before := w.loop.Stats().Refused(x.status)
			peer.raw(x.frames...)
			peer.hearError(x.status, x.words...)
			require.Equal(t, before+1, w.loop.Stats().Refused(x.status), x.name)

			stranger := w.dial()
			stranger.raw(x.frames...)
			_, body := stranger.hear(wire.Error)
			require.NotContains(t, said, string(body[0]), "two kinds are answered in the same words")
			said[string(body[0])] = x.name
			require.Equal(t, before+2, w.loop.Stats().Refused(x.status), x.name)
			stranger.close()
			peer.alive()
			bystander.alive()
		}
		peer.raw(header(func([]byte) {}), make([]byte, 2*maxBody))
		peer.hearError(wire.TooLarge, fmt.Sprint(2*maxBody))
		require.Empty(t, w.heard, "the keeper has heard of none of it")
		peer.raw(many(60)...)
		require.Len(t, w.message(wire.Call).Body, 60)
		peer.raw(header(func([]byte) {}), make([]byte, maxBody))
		w.message(wire.Call)
	})
}

// A frame that nobody wants in memory ends the connection it came over, and nothing else.
func TestMonstrousFrameEndsItsConnection(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		cfg.MaxBody = 5000
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", true)
		monster, bystander := w.join(0), w.join(0)
		monster.raw(header(func([]byte) {}), make([]byte, maxFrame(cfg.MaxBody)+1))
		w.gone(monster.ref, "disconnected")
		monster.hungUp()
		bystander.alive()
	})
}

// An answer to an ERROR would be answered in turn, for ever.
func TestErrorsAreNotAnswered(t *testing.T) {
	perPath(t, func(t *testing.T, cfg Config) {
		w := newWorld(t, cfg, "tcp://127.0.0.1:0", true)
		asError := func(edit func(b []byte)) []byte {
			return header(func(b []byte) { b[3] = byte(wire.Error); edit(b) })
		}
		all := []frames{
			{asError(func(b []byte) { b[2] = 2 }), []byte("of another version")},
			{asError(func(b []byte) { copy(b, "XX") }), []byte("of another protocol")},
			{asError(func(b []byte) { b[5] = 0x80 }), []byte("with a flag")},
			{asError(func([]byte) {})},
		}
		stranger, peer := w.dial(), w.join(0)
		for _, m := range all {
			peer.raw(m...)
			stranger.raw(m...)
		}
		stranger.say(wire.Header{Type: wire.Error, Status: wire.Internal}, []byte("from nobody"))
		peer.alive()
		stranger.say(wire.Header{Type: wire.Hello}, []byte("{}"))
		stranger.hear(wire.Welcome)
		require.EqualValues(t, 1, w.loop.Stats().Refused(wire.NotRegistered))
		require.EqualValues(t, 4, w.loop.Stats().Refused(wire.BadVersion))
	})
}

// A broker's nonsense is answered by a DEALER in the same way.
func TestNonsenseOfABroker(t *testing.T) {
	const maxBody = 5000
	perPath(t, func(t *testing.T, cfg Config) {
		cfg.MaxBody = maxBody
		_, broker, id := newGuest(t, cfg, "tcp://127.0.0.1:0")
		for _, x := range allNonsense(maxBody) {
			if x.name == "type of another endpoint" {
				continue // these guests take all types
			}
			broker.rawTo(id, x.frames...)
			got := broker.take()
			var h wire.Header
			require.NoError(t, h.Parse(got[1]), x.name)
			require.Equal(t, []any{wire.Error, x.status}, []any{h.Type, h.Status}, "%s: %q", x.name, got[2])
		}
		broker.rawTo(id, header(func(b []byte) { b[2], b[3] = 9, byte(wire.Error) }), []byte("no answer"))
		broker.rawTo(id, (&wire.Header{Type: wire.Ping, Arg: 77}).Bytes())
		var h wire.Header
		require.NoError(t, h.Parse(broker.take()[1]))
		require.Equal(t, []any{wire.Pong, uint32(77)}, []any{h.Type, h.Arg})
	})
}

func TestGreetingOfAProbe(t *testing.T) {
	w := newWorld(t, Config{}, "tcp://127.0.0.1:0", true)
	p := w.dial()
	p.raw(nil)
	p.hearError(wire.BadFrame, "0 bytes")
	p.raw(nil, nil, nil)
	p.hearError(wire.BadFrame, "0 bytes")
}

func TestEndpointConfigMistakes(t *testing.T) {
	w := emptyWorld(t, Config{})
	for words, cfg := range map[string]EndpointConfig{
		"set one of the two": {Keeper: w.keeper, Accept: allTypes},
		"Bind [\"a\"]":       {Bind: []string{"a"}, Connect: "b", Keeper: w.keeper, Accept: allTypes},
		"Keeper is nil":      {Connect: "tcp://127.0.0.1:1", Accept: allTypes},
		"Accept is empty":    {Connect: "tcp://127.0.0.1:1", Keeper: w.keeper},
		"not a ZeroMQ":       {Connect: "127.0.0.1:1", Keeper: w.keeper, Accept: allTypes},
	} {
		_, err := w.loop.Open(cfg)
		require.ErrorContains(t, err, words)
	}
}

func TestConfigMistakes(t *testing.T) {
	system := emptyWorld(t, Config{}).system
	for field, cfg := range map[string]Config{
		"System":          {},
		"Throughput":      {System: system, Throughput: -1},
		"Batch":           {System: system, Batch: 5000},
		"Spin":            {System: system, Spin: -1},
		"MaxBody":         {System: system, MaxBody: 1<<30 + 1},
		"Window":          {System: system, Window: 100},
		"Probe":           {System: system, Probe: -1},
		"Silence":         {System: system, Heartbeat: 2, Silence: 1},
		"FirstGeneration": {System: system, FirstGeneration: 1 << 39},
	} {
		_, err := New(cfg)
		require.ErrorContains(t, err, field)
	}
}

// A loop holds more endpoints than one would have.
func TestManyEndpoints(t *testing.T) {
	w := emptyWorld(t, Config{})
	var all []*Endpoint
	for range 200 {
		ep, err := w.loop.Open(EndpointConfig{Bind: []string{inproc()}, Keeper: w.keeper, Accept: toBroker})
		require.NoError(t, err)
		all = append(all, ep)
	}
	_, err := w.loop.Open(EndpointConfig{Bind: []string{inproc()}, Keeper: w.keeper, Accept: toBroker})
	require.ErrorContains(t, err, "at most 200")
	w.serve()
	for _, i := range []int{0, 31, 32, 100, 199} {
		w.ep = all[i]
		w.join(0).alive()
	}
}
