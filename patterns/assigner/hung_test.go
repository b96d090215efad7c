package assigner_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/supervision"
)

// hungEnv makes the test binary a process that hangs in the way it names.
const hungEnv = "TROUPE_TEST_HUNG"

func hungBroker(children ...supervision.ChildSpec) (*assigner.Broker, error) {
	b, err := assigner.NewBroker(assigner.BrokerConfig{
		Clients: []string{"inproc://hung-clients"}, Workers: []string{"inproc://hung-workers"}, Children: children,
		Watch: assigner.WatchConfig{Loop: 300 * time.Millisecond, Child: 100 * time.Millisecond, MaxZombies: 1, Exit: os.Exit},
	})
	if err != nil {
		return nil, err
	}
	return b, b.Start(context.Background())
}

func neverReturns() { select {} }

// hungLoop is a process whose broker's loop does not return from a turn.
func hungLoop() error {
	b, err := hungBroker()
	if err != nil {
		return err
	}
	b.OnLoop(neverReturns)
	return b.Wait(context.Background())
}

// hungChildren is a process in which each incarnation of a child hangs.
func hungChildren() error {
	b, err := hungBroker(supervision.ChildSpec{ID: "hangs", Start: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				ctx.Send(ctx.Self(), "hang")
			case string:
				neverReturns()
			}
		})
	}})
	if err != nil {
		return err
	}
	return b.Wait(context.Background())
}

// hungSessions is a process in which each hit of a client hangs.
func hungSessions() error {
	b, err := assigner.NewBroker(assigner.BrokerConfig{
		Clients: []string{"inproc://hung-clients"}, Workers: []string{"inproc://hung-workers"}, Stuck: 100 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	ctx := context.Background()
	w, err := assigner.NewWorker(assigner.WorkerConfig{
		Broker: "inproc://hung-workers", WriteOff: 50 * time.Millisecond, Watch: assigner.WatchConfig{MaxZombies: 1, Exit: os.Exit},
		Services: map[string]assigner.Service{"hangs": {Repair: assigner.RepairFail, Handler: func(context.Context, *assigner.Call) ([]byte, error) {
			neverReturns()
			return nil, nil
		}}},
	})
	if err != nil {
		return err
	}
	if err = errors.Join(b.Start(ctx), w.Start(ctx)); err != nil {
		return err
	}
	c, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: "inproc://hung-clients"})
	for err == nil {
		if _, err = c.Do(ctx, "hangs", nil); errors.Is(err, assigner.ErrStuck) {
			err = nil
		}
	}
	return err
}

// TestHungProcess is the process that TestAProcessThatHangsEnds starts.
func TestHungProcess(t *testing.T) {
	hang := map[string]func() error{"loop": hungLoop, "children": hungChildren, "sessions": hungSessions}[os.Getenv(hungEnv)]
	if hang == nil {
		t.Skip("it is not a test but a process of TestAProcessThatHangsEnds")
	}
	require.NoError(t, hang())
}

func TestAProcessThatHangsEnds(t *testing.T) {
	said := map[string]string{
		"loop":     "its loop does not return from a turn",
		"children": "too many handlers were given up and have not come back",
		"sessions": "too many handlers were given up and have not come back",
	}
	for way, why := range said {
		t.Run(way, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a safety net
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHungProcess$")
			cmd.Env = append(os.Environ(), hungEnv+"="+way)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, string(out))
			require.Equal(t, supervision.ExitStuck, exit.ExitCode(), string(out))
			require.Contains(t, string(out), why)
			require.Contains(t, string(out), "assigner_test.neverReturns", "the stack shows where")
		})
	}
}

func TestWatchAndChildrenAreValidated(t *testing.T) {
	for _, cfg := range []assigner.BrokerConfig{
		{Watch: assigner.WatchConfig{MaxZombies: -2}},
		{Watch: assigner.WatchConfig{Child: -1}},
	} {
		require.ErrorContains(t, cfg.Validate(), "BrokerConfig.Watch")
	}
	cfg := assigner.BrokerConfig{Children: []supervision.ChildSpec{{ID: "x"}}}
	require.ErrorContains(t, cfg.Validate(), `BrokerConfig.Children: supervisor spec "children": Children[0]: child spec "x": Start is nil`)
}
