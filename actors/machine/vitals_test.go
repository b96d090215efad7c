package machine_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

func vitals(t testing.TB, m *wire.Message) (v wire.VitalsInfo) {
	t.Helper()
	require.NoError(t, json.Unmarshal(m.Frame(0), &v))
	require.NotEmpty(t, v.By)
	v.By = ""
	return v
}

func TestVitalsOfAHit(t *testing.T) {
	quote(t, "`running` is the call under way, 0 if there is none, `running_ms` how long it has been the first one, `queued` how many wait behind it. `progress_ms` is the time since the hit's thread gave a sign: OPENED, WORKING or an answer.")
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	ask := func() wire.VitalsInfo {
		h.client(wire.Header{Type: wire.Probe, Arg: 77})
		m := h.c.expect(wire.Vitals)
		require.Equal(t, wire.Header{Type: wire.Vitals, Hit: h.handle, Epoch: 1, Arg: 77}, m.Header)
		return vitals(t, m)
	}
	s.tick(5 * time.Second)
	require.Equal(t, wire.VitalsInfo{Peer: "worker", Alive: true, WithinMS: 3000, State: "open", ProgressMS: 5000}, ask())
	h.call(1, 0)
	h.call(2, 0)
	s.tick(time.Second)
	require.Equal(t, wire.VitalsInfo{Peer: "worker", Alive: true, WithinMS: 3000, State: "open", Running: 1, RunningMS: 1000, ProgressMS: 6000, Queued: 1}, ask())
	h.worker(wire.Header{Type: wire.Working, Seq: 1})
	h.c.expect(wire.Working)
	s.tick(time.Second)
	require.Equal(t, wire.VitalsInfo{Peer: "worker", Alive: true, WithinMS: 3000, State: "open", Running: 1, RunningMS: 2000, ProgressMS: 1000, Queued: 1}, ask())
	h.reply(1, 0)
	h.c.expect(wire.Reply)
	s.tick(time.Second)
	require.Equal(t, wire.VitalsInfo{Peer: "worker", Alive: true, WithinMS: 3000, State: "open", Running: 2, RunningMS: 1000, ProgressMS: 1000}, ask())
	h.w.inbox = nil
	h.w.silent() // it is not asked
}

func TestVitalsOfAClient(t *testing.T) {
	quote(t, "from its worker about the client")
	s, h := standing(t)
	ask := func() wire.VitalsInfo {
		h.worker(wire.Header{Type: wire.Probe, Arg: 5})
		m := h.w.expect(wire.Vitals)
		require.Equal(t, wire.Header{Type: wire.Vitals, Hit: h.handle, Epoch: h.epoch, Arg: 5}, m.Header)
		return vitals(t, m)
	}
	require.Equal(t, wire.VitalsInfo{Peer: "client", Alive: true, WithinMS: 3000, State: "open"}, ask())
	h.c.silent()
	h.c.vanish()
	require.Equal(t, wire.VitalsInfo{Peer: "client", WithinMS: 3000, State: "adrift"}, ask())
	h.resume(s.client(), 0, 0)
	require.True(t, ask().Alive)
	require.Zero(t, s.counts[wire.BadType])
}

func TestVitalsOfWhatIsNotThere(t *testing.T) {
	quote(t, "A hit that is over, that never was, or that this connection does not hold is answered with `peer` `hit` and `alive` false.")
	quote(t, "a PROBE is never answered by an ERROR")
	s := newTheatre(t, config())
	h := s.opened(s.client(), s.worker("w", 1), 5, 0)
	stranger := s.client()
	stranger.say(wire.Header{Type: wire.Probe, Hit: h.handle, Epoch: 1})
	require.Equal(t, wire.VitalsInfo{Peer: "hit"}, vitals(t, stranger.expect(wire.Vitals)))
	h.worker(wire.Header{Type: wire.Ended})
	h.c.expect(wire.Closed)
	for _, p := range []*peer{h.c, h.w} {
		p.say(wire.Header{Type: wire.Probe, Hit: h.handle, Epoch: 1})
		require.Equal(t, wire.VitalsInfo{Peer: "hit", State: "over"}, vitals(t, p.expect(wire.Vitals)))
		p.say(wire.Header{Type: wire.Probe, Arg: 9})
		m := p.expect(wire.Vitals)
		require.EqualValues(t, 9, m.Header.Arg)
		require.Equal(t, wire.VitalsInfo{Peer: "broker", Alive: true}, vitals(t, m))
	}
}
