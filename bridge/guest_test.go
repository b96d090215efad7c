package bridge

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// newGuest serves a loop with one DEALER, connected to a raw ROUTER, and returns the DEALER's routing id there.
func newGuest(t *testing.T, cfg Config, at string) (w *world, broker *party, id []byte) {
	t.Helper()
	w = emptyWorld(t, cfg)
	broker, addr := w.bind(at)
	ep, err := w.loop.Open(EndpointConfig{Connect: addr, Keeper: w.keeper, Accept: allTypes})
	require.NoError(t, err)
	w.ep = ep
	w.act = func(m any) {
		if _, lost := m.(*wire.PeerGone); lost {
			_ = ep.Sender().Send(&wire.Header{Type: wire.Hello}, []byte("{}"))
		}
	}
	w.serve()
	require.NoError(t, ep.Sender().Send(&wire.Header{Type: wire.Hello}, []byte("{}")))
	return w, broker, broker.greeted()
}

// greeted waits for HELLO at a raw ROUTER and returns who says it.
func (p *party) greeted() []byte {
	p.w.Helper()
	m := p.take()
	var h wire.Header
	require.NoError(p.w, h.Parse(m[1]))
	require.Equal(p.w, wire.Hello, h.Type)
	return m[0]
}

// call waits for CALL at a raw ROUTER, past all else.
func (p *party) call() frames {
	p.w.Helper()
	for {
		m := p.take()
		var h wire.Header
		require.NoError(p.w, h.Parse(m[1]))
		if h.Type == wire.Call {
			return m
		}
	}
}
