package assigner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// hit.md, section 11: "after the end of the last one it serves no call ...: calls are refused (lease-over, never started)". The calls behind one that
// its slot had refused are told the same, not that their number is wrong, and none of them starts, though the lease is renewed.
func TestCallsBehindOneRefusedForTheLease(t *testing.T) {
	w := &Worker{hub: &hub{zero: time.Now()}}
	e := &enrolment{}
	e.maxBody.Store(1000)
	p := &passage{front: &front{}, slot: &slot{worker: w, from: e}}
	call := func(seq uint32) *wire.Message { return &wire.Message{Header: wire.Header{Type: wire.Call, Seq: seq}} }
	renew := func() { e.tenure.until.Store(int64(time.Since(w.hub.zero) + time.Hour)) }

	renew()
	status, text := p.refusal(call(1))
	require.Equal(t, wire.OK, status, text)
	p.accepted = 1
	require.True(t, p.admits(call(1)))

	e.tenure.until.Store(0)
	if keepsLease {
		require.False(t, p.admits(call(1)), "its turn has come too late")
	} else {
		p.refuse(call(1), wire.LeaseOver, "")
	}
	renew()
	for _, seq := range []uint32{1, 2, 3} {
		status, _ := p.refusal(call(seq))
		require.Equal(t, wire.LeaseOver.String(), status.String(), seq)
	}
	require.EqualValues(t, 1, p.front.refused[wire.LeaseOver].Load())
}
