package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// What a hit promises when nothing goes wrong, on every path.

func TestConversation(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		site.Broker()
		w := site.Worker(rig.Services{"echo": echo})
		h := open(t, ctx, site.Client(), "echo")
		require.Equal(t, w.Name(), h.Worker())
		require.NotZero(t, h.Thread())
		large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		for _, frames := range [][][]byte{
			{[]byte("one")},
			{{}},
			{[]byte("a"), {}, []byte("c")},
			{large, []byte("and a small one"), large[:100_000]},
			many(60, "frame"),
		} {
			reply, err := h.CallWith(ctx, assigner.Request{Frames: frames})
			require.NoError(t, err)
			require.Len(t, reply, len(frames))
			for i := range frames {
				require.True(t, bytes.Equal(frames[i], reply[i]), "frame %d of %d came back changed", i, len(frames))
			}
		}
		require.NoError(t, h.Close(ctx))
		_, err := h.Call(ctx, nil)
		requireError(t, err, assigner.ErrClosed, assigner.NeverStarted)
		rig.Until(t, "the slot is free", func() bool { return w.Busy() == 0 })
	})
}

// many returns n frames.
func many(n int, text string) [][]byte {
	var frames [][]byte
	for i := range n {
		frames = append(frames, fmt.Appendf(nil, "%s %d", text, i))
	}
	return frames
}

func TestOneShot(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		site.Broker()
		sessions := newDiary()
		w := site.Worker(rig.Services{"echo": echo, "diary": sessions.service(), "fails": {
			Handler: func(context.Context, *assigner.Call) ([]byte, error) { return nil, errors.New("not today") },
		}})
		c := site.Client()
		frames, err := c.DoWith(ctx, assigner.OpenRequest{Service: "echo", Label: "l"}, assigner.Request{Frames: many(3, "x")})
		require.NoError(t, err)
		require.Equal(t, many(3, "x"), frames)
		_, err = c.Do(ctx, "fails", nil)
		require.Contains(t, requireError(t, err, assigner.ErrService, assigner.Finished).text, "not today")
		_, err = c.Do(ctx, "diary", []byte("note"))
		require.NoError(t, err)
		thread := sessions.expect(t, "open")
		require.Equal(t, thread, sessions.expect(t, "call note"))
		require.Equal(t, thread, sessions.expect(t, "close"))
		rig.Until(t, "the slots are free", func() bool { return w.Busy() == 0 })
	})
}

func TestProgressComesInOrderBeforeTheReply(t *testing.T) {
	rig.EachPath(t, func(t *testing.T, p rig.Path) {
		site, ctx := rig.NewSite(t, p), rig.Context(t)
		site.Broker()
		const steps = 50
		site.Worker(rig.Services{"slow": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
			for i := range steps {
				c.Progress(float64(i)/steps, fmt.Sprint("step ", i))
			}
			return []byte("done"), nil
		}}})
		c := site.Client()
		h := open(t, ctx, c, "slow")
		var want []assigner.Progress
		for i := range steps {
			want = append(want, assigner.Progress{Done: float64(i) / steps, Note: fmt.Sprint("step ", i)})
		}
		var seen []assigner.Progress
		watch := assigner.Request{Progress: func(p assigner.Progress) { seen = append(seen, p) }}
		_, err := h.CallWith(ctx, watch)
		require.NoError(t, err)
		require.Equal(t, want, seen, "of a call")
		seen = nil
		_, err = c.DoWith(ctx, assigner.OpenRequest{Service: "slow"}, watch)
		require.NoError(t, err)
		require.Equal(t, want, seen, "of a one-shot")
	})
}
