package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
	"github.com/troupe-mq/troupe/test/e2e/internal/tls"
)

// What a service's own code can do wrong, and what a session's thread is worth.

// misbehave is a call that does what its body says.
func misbehave(_ context.Context, c *assigner.Call) ([]byte, error) {
	switch string(c.Body()) {
	case "panic":
		panic("as the call wants")
	case "goexit":
		runtime.Goexit()
	case "error":
		return nil, errors.New("no")
	}
	return c.Body(), nil
}

func TestServiceMisbehaves(t *testing.T) {
	for _, threads := range []assigner.Threads{assigner.Pinned, assigner.Goroutines} {
		for _, way := range []string{"panic", "goexit"} {
			name := map[assigner.Threads]string{assigner.Pinned: "pinned", assigner.Goroutines: "goroutines"}[threads] + " " + way
			t.Run(name, func(t *testing.T) {
				site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
				site.Broker()
				d := newDiary()
				d.on = misbehave
				service := d.service()
				service.Threads = threads
				w := site.Worker(rig.Services{"diary": service, "echo": echo}, rig.Slots(2))
				c := site.Client()
				other, h := open(t, ctx, c, "echo"), open(t, ctx, c, "diary")
				_, err := h.Call(ctx, []byte("error"))
				requireError(t, err, assigner.ErrService, assigner.Finished)
				requireReply(t, ctx, h, "and it goes on", "and it goes on")
				_, err = h.Call(ctx, []byte(way))
				requireError(t, err, assigner.ErrPanicked, assigner.Unknown)
				require.ErrorIs(t, h.Close(ctx), assigner.ErrPanicked)
				_, err = h.Call(ctx, nil)
				requireError(t, err, assigner.ErrPanicked, assigner.NeverStarted)
				for _, what := range []string{"open", "call error", "call and it goes on", "call " + way, "close"} {
					d.expect(t, what)
				}
				requireReply(t, ctx, other, "untouched", "untouched")
				_, err = c.Do(ctx, "diary", []byte(way))
				requireError(t, err, assigner.ErrPanicked, assigner.Unknown)
				rig.Until(t, "the slot is free", func() bool { return w.Busy() == 1 })
				for range 3 {
					reply, err := c.Do(ctx, "diary", []byte("fine"))
					require.NoError(t, err)
					require.Equal(t, "fine", string(reply))
				}
			})
		}
	}
}

// TestSessionCannotBeOpened: by an error, by a crash, by leaving; as a hit and as a one-shot.
func TestSessionCannotBeOpened(t *testing.T) {
	ways := []struct {
		name    string
		open    func() error
		kind    error
		text    string
		outcome assigner.Outcome
	}{
		{"error", func() error { return errors.New("the tea is out") }, assigner.ErrService, "the session could not be opened: the tea is out", assigner.NeverStarted},
		{"panic", func() error { panic("the tea is hot") }, assigner.ErrPanicked, "the tea is hot", assigner.NeverStarted},
		{"goexit", func() error { runtime.Goexit(); return nil }, assigner.ErrPanicked, "ended its goroutine", assigner.NeverStarted},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
			site.Broker()
			w := site.Worker(rig.Services{"fails": {Open: func(context.Context, *assigner.Opening) (assigner.Session, error) {
				return nil, way.open()
			}}, "echo": echo}, rig.Slots(1))
			c := site.Client()
			for range 3 {
				_, err := c.Open(ctx, "fails")
				require.Contains(t, requireError(t, err, way.kind, way.outcome).text, way.text)
				_, err = c.Do(ctx, "fails", nil)
				require.ErrorIs(t, err, way.kind)
				require.ErrorContains(t, err, way.text)
			}
			requireReply(t, ctx, open(t, ctx, c, "echo"), "x", "x")
			require.Equal(t, 1, w.Busy())
		})
	}
}

// TestCloseMisbehaves: a session that fails, crashes or leaves at its close has been closed all the same, and its slot is free.
func TestCloseMisbehaves(t *testing.T) {
	ways := map[string]func() error{
		"error": func() error { return errors.New("no") }, "panic": func() error { panic("as asked") }, "goexit": func() error { runtime.Goexit(); return nil },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
			site.Broker()
			d := newDiary()
			d.shut = way
			w := site.Worker(rig.Services{"diary": d.service()}, rig.Slots(1))
			c := site.Client()
			for range 3 {
				h := open(t, ctx, c, "diary")
				_, err := h.Call(ctx, nil)
				require.NoError(t, err)
				require.NoError(t, h.Close(ctx))
				_, err = c.Do(ctx, "diary", nil)
				require.NoError(t, err)
			}
			rig.Until(t, "the slot is free", func() bool { return w.Busy() == 0 })
			for range 6 {
				thread := d.expect(t, "open")
				require.Equal(t, thread, d.expect(t, "call "))
				require.Equal(t, thread, d.expect(t, "close"))
			}
		})
	}
}

// TestThreadAfterItsHit: by default a thread ends with its hit, and what it left in thread-local memory with it; with KeepThread it serves the next hit.
func TestThreadAfterItsHit(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(map[bool]string{false: "destroyed", true: "kept"}[keep], func(t *testing.T) {
			site, ctx := rig.NewSite(t, rig.TCP), rig.Context(t)
			site.Broker()
			w := site.Worker(rig.Services{"mark": {KeepThread: keep, Handler: func(context.Context, *assigner.Call) ([]byte, error) {
				before := tls.Get()
				tls.Set(before + 1)
				return []byte{byte(before)}, nil
			}}}, rig.Slots(1))
			c := site.Client()
			threads := make(map[int]bool)
			const hits = 5
			for i := range hits {
				h := open(t, ctx, c, "mark")
				threads[h.Thread()] = true
				reply, err := h.Call(ctx, nil)
				require.NoError(t, err)
				want := 0
				if keep {
					want = i
				}
				require.EqualValues(t, want, reply[0], "what the hits before have left on the thread")
				require.NoError(t, h.Close(ctx))
				rig.Until(t, "the thread is back", func() bool { return w.Busy() == 0 })
				if task := fmt.Sprintf("/proc/self/task/%d", h.Thread()); keep {
					require.DirExists(t, task)
				} else {
					rig.Until(t, "the thread has ended", func() bool { _, err := os.Stat(task); return os.IsNotExist(err) })
				}
			}
			if keep {
				require.Len(t, threads, 1)
			}
		})
	}
}
