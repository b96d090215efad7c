package keepalive_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// Several beats may wait in one poll: of more than 100,000 each way, as many come as were sent, in order.
func TestNoBeatIsLost(t *testing.T) {
	site := rig.NewSite(t, rig.TCP)
	site.Broker()
	peers := map[string]*rig.Raw{"client": rig.NewRaw(t, site.Clients).Hello(), "worker": rig.NewRaw(t, site.Workers).Ready("w", 1, "echo")}
	for name, p := range peers {
		t.Run(name, func(t *testing.T) {
			const burst, all = 500, 100_500
			heard := uint32(0)
			for sent := uint32(0); sent < all; sent += burst {
				for i := range uint32(burst) {
					p.Say(wire.Header{Type: wire.Ping, Arg: sent + i + 1})
				}
				for range burst {
					heard++
					require.Equal(t, heard, p.Hear(wire.Pong).Arg)
				}
			}
			require.EqualValues(t, all, heard)
			require.Empty(t, p.Settle(), "and no more")
		})
	}
}
