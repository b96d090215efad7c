package e2e_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// TestASlotIsFreeWhenItSaysSo has more callers than slots open and close as fast as they can: the broker gives a slot away in the moment its worker
// says that it is free, and the worker must not be surprised.
func TestASlotIsFreeWhenItSaysSo(t *testing.T) {
	ways := map[string]func(context.Context, *assigner.Client) error{
		"open and close": func(ctx context.Context, c *assigner.Client) error {
			h, err := c.Open(ctx, "diary")
			if err != nil {
				return err
			}
			return h.Close(ctx)
		},
		"one-shots": func(ctx context.Context, c *assigner.Client) error {
			_, err := c.Do(ctx, "diary", []byte("x"))
			return err
		},
		"sessions that end by themselves": func(ctx context.Context, c *assigner.Client) error {
			h, err := c.Open(ctx, "crash")
			if err != nil {
				return err
			}
			if _, err = h.Call(ctx, nil); err == nil {
				return fmt.Errorf("the call has not crashed")
			}
			return nil
		},
	}
	for name, way := range ways {
		for _, keep := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, keep=%t", name, keep), func(t *testing.T) {
				site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
				site.Broker()
				d := newDiary()
				d.notes = make(chan note, 1<<14)
				kept, crash := d.service(), assigner.Service{Handler: func(context.Context, *assigner.Call) ([]byte, error) { panic("as asked") }}
				kept.KeepThread, crash.KeepThread = keep, keep
				w := site.Worker(rig.Services{"diary": kept, "crash": crash}, rig.Slots(2))
				c := site.Client()
				errs := make(chan error)
				const callers, rounds = 6, 60
				for range callers {
					go func() {
						for range rounds {
							errs <- way(ctx, c)
						}
					}()
				}
				for range callers * rounds {
					require.NoError(t, rig.Receive(t, errs, "an answer"))
				}
				rig.Until(t, "the slots are free", func() bool { return w.Busy() == 0 })
			})
		}
	}
}
