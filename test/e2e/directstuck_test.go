package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// Calls of direct hits are judged as those of others, though the broker sees none of them, and a client asks the broker whether one runs.
func TestADirectCallThatIsStuck(t *testing.T) {
	site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
	site.Broker(func(c *assigner.BrokerConfig) { c.Stuck = time.Second })
	begun := make(chan struct{}, 8)
	sleeps := func(ctx context.Context, call *assigner.Call) ([]byte, error) {
		if string(call.Body()) == "hold" {
			call.Hold(time.Minute)
		}
		begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	site.Worker(rig.Services{"fails": {Handler: sleeps, Repair: assigner.RepairFail}}, direct, rig.Named("go"))
	p := rig.Python(t, "testdata/directstuck.py", site.Workers)
	p.Await("registered")
	c := site.Client()
	for _, service := range []string{"fails", "python-fails"} {
		t.Run(service, func(t *testing.T) {
			held, h := openDirect(t, ctx, c, service), openDirect(t, ctx, c, service)
			patient, giveUp := context.WithCancel(ctx)
			defer giveUp()
			waits := callLater(patient, held, "hold")
			err := rig.Receive(t, callLater(ctx, h, "x"), "the end of the call").err
			e := requireError(t, err, assigner.ErrStuck, assigner.Unknown)
			require.Equal(t, "STUCK", e.why.Verdict)
			v, err := held.IsAlive(ctx)
			require.NoError(t, err)
			require.EqualValues(t, 1, v.Running, "%+v", v)
			select {
			case r := <-waits:
				require.FailNow(t, "a call that has declared to be long was ended", "%v", r.err)
			default:
			}
			giveUp()
			require.Error(t, rig.Receive(t, waits, "the end of the other call").err)
			require.NoError(t, held.Close(ctx))
		})
	}
	counts := whys(t, ctx, c, "").Counts
	require.EqualValues(t, 2, counts["STUCK"], "%v", counts)
}
