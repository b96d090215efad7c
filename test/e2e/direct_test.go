package e2e_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

func direct(c *assigner.WorkerConfig) { c.DirectBind = "tcp://127.0.0.1:0" }

func openDirect(t *testing.T, ctx context.Context, c *assigner.Client, service string) *assigner.Hit {
	t.Helper()
	h, err := c.OpenWith(ctx, assigner.OpenRequest{Service: service, Route: assigner.Direct})
	require.NoError(t, err)
	return h
}

// ticket is what OPENED tells a raw client of a direct hit.
type ticket struct {
	handle          uint64
	epoch           uint32 // of the client's leg
	endpoint, token string
}

// openRaw has a raw client open a direct hit.
func openRaw(r *rig.Raw, ref uint64, service string) ticket {
	r.Say(wire.Header{Type: wire.Open, Flags: wire.Ref | wire.Direct, Hit: ref}, []byte(service), nil)
	s := r.Hear(wire.Opened)
	return ticket{binary.BigEndian.Uint64(s.Frames[0]), s.Epoch, string(s.Frames[3]), hex.EncodeToString(s.Frames[4])}
}

// knock says HELLO for a hit with a token.
func knock(r *rig.Raw, handle uint64, token string) *rig.Said {
	r.Say(wire.Header{Type: wire.Hello, Flags: wire.Direct, Hit: handle}, []byte(`{"token":"`+token+`"}`))
	return r.Hear(wire.Welcome, wire.Error)
}

// refused requires that a worker has refused something, and counted it.
func refusedAt(t *testing.T, w *assigner.Worker, said *rig.Said, status wire.Status, counter string) {
	t.Helper()
	require.Equal(t, wire.Error, said.Type, "%v", said.Header)
	require.Equal(t, status, said.Status, "%s", said.Text())
	require.Regexp(t, `\w{3,}.*[:;,] .*\w{3,}`, said.Text(), "an error says what, why, and what to do")
	rig.Until(t, counter+" is counted", func() bool { return w.Counters()[counter] > 0 })
}

// Whoever comes to a worker's own endpoint without the right token gets in nowhere; an honest direct hit beside them notices nothing.
func TestBadDirectClients(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.Path{Transport: "tcp"}), rig.Context(t)
	site.Broker(func(c *assigner.BrokerConfig) { c.Grace = -1 })
	w := site.Worker(rig.Services{"echo": echo}, rig.Slots(8), direct)
	rig.Receive(t, w.Welcomed(), "the worker's welcome")
	c := site.Client()
	honest := openDirect(t, ctx, c, "echo")
	raw := rig.NewRaw(t, site.Clients).Hello()
	mine, other := openRaw(raw, 1, "echo"), openRaw(raw, 2, "echo")
	nobody := strings.Repeat("00", 16)
	for name, try := range map[string]func(t *testing.T, r *rig.Raw){
		"a stranger's call": func(t *testing.T, r *rig.Raw) {
			r.Say(toHit(wire.Call, mine.handle, 1, 1), nil)
			refusedAt(t, w, r.Hear(), wire.NotRegistered, "refused_not-registered")
		},
		"HELLO without the flag": func(t *testing.T, r *rig.Raw) {
			r.Say(wire.Header{Type: wire.Hello}, []byte("{}"))
			require.Equal(t, wire.BadFlag, r.Hear(wire.Error).Status)
		},
		"READY": func(t *testing.T, r *rig.Raw) {
			r.Say(wire.Header{Type: wire.Ready}, []byte("{}"))
			refusedAt(t, w, r.Hear(), wire.BadType, "refused_bad-type")
		},
		"the token of nobody": func(t *testing.T, r *rig.Raw) {
			refusedAt(t, w, knock(r, mine.handle, nobody), wire.BadToken, "token_wrong")
		},
		"no token": func(t *testing.T, r *rig.Raw) {
			refusedAt(t, w, knock(r, mine.handle, ""), wire.BadToken, "token_wrong")
		},
		"a token that is no hex": func(t *testing.T, r *rig.Raw) {
			refusedAt(t, w, knock(r, mine.handle, "token"), wire.BadToken, "token_wrong")
		},
		"the token of another hit": func(t *testing.T, r *rig.Raw) {
			refusedAt(t, w, knock(r, mine.handle, other.token), wire.BadToken, "token_wrong")
		},
		"a hit that is not there": func(t *testing.T, r *rig.Raw) {
			refusedAt(t, w, knock(r, 4711, mine.token), wire.BadToken, "token_of_unknown_hit")
		},
		"ADMIN": func(t *testing.T, r *rig.Raw) {
			r.Say(wire.Header{Type: wire.Admin}, []byte("{}"))
			require.Equal(t, wire.BadType, r.Hear(wire.Error).Status)
		},
	} {
		t.Run(name, func(t *testing.T) {
			try(t, rig.NewRaw(t, mine.endpoint))
			requireReply(t, ctx, honest, "on", "on")
		})
	}
	t.Run("a token is good once", func(t *testing.T) { spendToken(t, w, raw, mine, other) })
	t.Run("at the broker", func(t *testing.T) {
		r := rig.NewRaw(t, site.Clients)
		require.Equal(t, wire.BadFlag, knock(r, other.handle, other.token).Status)
	})
	requireReply(t, ctx, honest, "still", "still")
	require.NoError(t, honest.Close(ctx))
}

// spendToken uses the token of one hit, and tries what is wrong then.
func spendToken(t *testing.T, w *assigner.Worker, raw *rig.Raw, mine, other ticket) {
	t.Helper()
	r := rig.NewRaw(t, mine.endpoint)
	welcome := knock(r, mine.handle, mine.token)
	require.Equal(t, wire.Welcome, welcome.Type)
	require.Equal(t, wire.Direct, welcome.Flags)
	thief := rig.NewRaw(t, mine.endpoint)
	refusedAt(t, w, knock(thief, mine.handle, mine.token), wire.BadToken, "token_used")
	thief.Say(toHit(wire.Call, mine.handle, welcome.Epoch, 1), nil)
	refusedAt(t, w, thief.Hear(), wire.UnknownHit, "refused_unknown-hit")
	r.Say(toHit(wire.Call, mine.handle, welcome.Epoch+1, 1), []byte("old"))
	refusedAt(t, w, r.Hear(), wire.StaleEpoch, "refused_stale-epoch")
	r.Say(toHit(wire.Call, mine.handle, welcome.Epoch, 2), []byte("too soon"))
	refusedAt(t, w, r.Hear(), wire.BadSeq, "refused_bad-seq")
	r.Say(toHit(wire.Call, mine.handle, welcome.Epoch, 1), []byte("right"))
	require.Equal(t, "right", r.Hear(wire.Reply).Text())
	refusedAt(t, w, knock(r, other.handle, other.token), wire.Refused, "direct_welcomed")
	raw.Say(toHit(wire.Close, mine.handle, mine.epoch, 0))
	require.Equal(t, wire.OK, raw.Hear(wire.Closed).Status)
	late := rig.NewRaw(t, mine.endpoint)
	refusedAt(t, w, knock(late, mine.handle, mine.token), wire.BadToken, "token_of_unknown_hit")
}

// A direct client that does not read is disconnected when its window and a queue of the same size are full, and frees its thread.
func TestADirectClientThatDoesNotRead(t *testing.T) {
	site := rig.NewSite(t, rig.Path{Transport: "tcp"})
	site.Broker(func(c *assigner.BrokerConfig) { c.Grace = -1 })
	w := site.Worker(rig.Services{"echo": echo}, rig.Slots(2), direct)
	rig.Receive(t, w.Welcomed(), "the worker's welcome")
	raw := rig.NewRaw(t, site.Clients).Hello()
	mine := openRaw(raw, 1, "echo")
	r := rig.NewRaw(t, mine.endpoint)
	r.Say(wire.Header{Type: wire.Hello, Flags: wire.Direct, Hit: mine.handle}, []byte(`{"window":65536,"token":"`+mine.token+`"}`))
	welcome := r.Hear(wire.Welcome)
	for seq := uint32(1); seq <= 8; seq++ {
		r.Say(toHit(wire.Call, mine.handle, welcome.Epoch, seq), make([]byte, 60<<10))
	}
	closed := raw.Hear(wire.Closed)
	require.Equal(t, wire.Cancelled, closed.Status)
	require.Contains(t, closed.Text(), "does not read")
	rig.Until(t, "the slot is free", func() bool { return w.Busy() == 0 })
}

// hit.md, section 11: a worker serves direct hits no longer than its lease, which a broker that stands still does not prolong. What the broker may do when
// it goes on again comes later.
func TestABrokerThatStandsStillEndsDirectHits(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.Path{Transport: "tcp"}), rig.Context(t)
	p := rig.Spawn(t, "broker", func() assigner.BrokerConfig {
		cfg := site.BrokerConfig()
		cfg.Logger, cfg.Heartbeat, cfg.Silence = nil, 200*time.Millisecond, 900*time.Millisecond
		return cfg
	}())
	p.Await("started")
	d := waitingDiary()
	w := site.Worker(rig.Services{"hold": d.service(), "echo": echo}, rig.Slots(4), direct)
	c := site.Client()
	h, idle := openDirect(t, ctx, c, "hold"), openDirect(t, ctx, c, "echo")
	requireReply(t, ctx, idle, "direct", "direct")
	running := callLater(ctx, h, "x")
	d.expect(t, "open")
	d.expect(t, "call x")
	p.Freeze()
	err := rig.Receive(t, running, "the end of the call").err
	require.ErrorIs(t, err, assigner.ErrLeaseOver)
	requireError(t, err, assigner.ErrLeaseOver, assigner.Unknown)
	_, err = idle.Call(ctx, nil)
	require.Error(t, err)
	rig.Until(t, "the threads are free", func() bool { return w.Busy() == 0 })
	p.Thaw()
	rig.Until(t, "all goes on", func() bool {
		h, err := c.OpenWith(ctx, assigner.OpenRequest{Service: "echo", Route: assigner.Direct})
		if err != nil {
			return false
		}
		_, err = h.Call(ctx, nil)
		return err == nil && h.Close(ctx) == nil
	})
}
