package assigner_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// What becomes of a body when somebody leaves in its middle, or does not read.

// tap is an endless body that counts what is taken of it.
type tap struct{ taken atomic.Int64 }

// Read is io.Reader's.
func (b *tap) Read(p []byte) (int, error) {
	b.taken.Add(int64(len(p)))
	return len(p), nil
}

// plumber is a service whose handlers stop in the middle of their bodies and tell the test about it.
type plumber struct {
	begun   chan struct{} // a handler has begun with its body
	ended   chan error    // what it got in the end
	release chan struct{} // closed: go on
	poured  atomic.Int64  // bytes written
}

func newPlumber() *plumber {
	return &plumber{begun: make(chan struct{}, 100), ended: make(chan error, 100), release: make(chan struct{})}
}

func (p *plumber) services() services {
	return services{"drain": {Handler: p.drain}, "pour": {Handler: p.pour}, "both": {Handler: p.both}, "hold": {Handler: p.hold}, "echo": {Handler: echo}}
}

func (p *plumber) done(err error) ([]byte, error) { p.ended <- err; return nil, err }

// begin reads the first byte of the body.
func (p *plumber) begin(c *assigner.Call) error {
	_, err := io.ReadFull(c.Input(), make([]byte, 1))
	p.begun <- struct{}{}
	return err
}

// drain reads its body to the end.
func (p *plumber) drain(_ context.Context, c *assigner.Call) ([]byte, error) {
	err := p.begin(c)
	if err == nil {
		_, err = io.Copy(io.Discard, c.Input())
	}
	return p.done(err)
}

// pour sends a reply without an end.
func (p *plumber) pour(_ context.Context, c *assigner.Call) ([]byte, error) {
	out, err := c.Output(-1)
	p.begun <- struct{}{}
	for page := make([]byte, 1000); err == nil; {
		var n int
		n, err = out.Write(page)
		p.poured.Add(int64(n))
	}
	return p.done(err)
}

// both sends back what comes, for ever.
func (p *plumber) both(_ context.Context, c *assigner.Call) ([]byte, error) {
	out, err := c.Output(-1)
	if err == nil {
		err = p.begin(c)
	}
	if err == nil {
		_, err = io.Copy(out, c.Input())
	}
	return p.done(err)
}

// hold reads one byte, then nothing until it is released; then it counts the rest.
func (p *plumber) hold(ctx context.Context, c *assigner.Call) ([]byte, error) {
	if err := p.begin(c); err != nil {
		return p.done(err)
	}
	select {
	case <-p.release:
	case <-ctx.Done():
		return p.done(ctx.Err())
	}
	n, err := io.Copy(io.Discard, c.Input())
	p.ended <- err
	return fmt.Appendf(nil, "%d", n+1), err
}

// flowing is a call whose body, reply, or both are in the middle.
type flowing struct {
	body  *tap
	reply chan error // what the caller got in the end
}

// flow begins such a call.
func (p *plumber) flow(t *testing.T, ctx context.Context, h *assigner.Hit) *flowing {
	t.Helper()
	f := &flowing{&tap{}, make(chan error, 1)}
	go func() {
		r, err := h.Stream(ctx, assigner.Request{Body: f.body, Size: -1})
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		f.reply <- err
	}()
	receive(t, p.begun, "the body to flow")
	return f
}

var currents = []string{"drain", "pour", "both"}

// The slot is free for somebody else as soon as its thread has left the handler, which its reads and writes make it do.
func TestAClientThatLeavesInTheMiddle(t *testing.T) {
	onEveryWay(t, func(t *testing.T, w way) {
		p := newPlumber()
		a := w.stage(t, p.services(), func(c *assigner.WorkerConfig) { c.Slots = 1 })
		for _, service := range currents {
			c := a.dial()
			f := p.flow(t, limited(t), a.openAt(c, service))
			require.NoError(t, c.Close(limited(t)))
			require.ErrorIs(t, receive(t, p.ended, "the handler's end"), context.Canceled, service)
			require.Error(t, receive(t, f.reply, "the caller's end"))
			h := a.open("echo")
			got, err := h.Call(limited(t), []byte("next"))
			require.NoError(t, err)
			require.Equal(t, "next", string(got))
			require.NoError(t, h.Close(limited(t)))
		}
	})
}

// The hit goes on, with the next call.
func TestCancelInTheMiddle(t *testing.T) {
	onEveryWay(t, func(t *testing.T, w way) {
		p := newPlumber()
		a := w.stage(t, p.services())
		for _, service := range currents {
			h := a.open(service)
			for range 3 {
				ctx, cancel := context.WithCancel(limited(t))
				f := p.flow(t, ctx, h)
				cancel()
				requireError(t, receive(t, f.reply, "the caller's end"), assigner.ErrCancelled, assigner.Unknown)
				require.ErrorIs(t, receive(t, p.ended, "the handler's end"), context.Canceled, service)
			}
			require.NoError(t, h.Close(limited(t)), service)
		}
	})
}

// A call that is cancelled before its turn takes its body along.
func TestCancelOfABodyThatWaits(t *testing.T) {
	onEveryWay(t, func(t *testing.T, w way) {
		p := newPlumber()
		a := w.stage(t, p.services())
		h := a.open("hold")
		ctx, first := limited(t), make(chan error, 1)
		go func() {
			_, err := h.CallWith(ctx, assigner.Request{Body: bytes.NewReader(noise(2 << 20)), Size: 2 << 20})
			first <- err
		}()
		receive(t, p.begun, "the first body")
		hasty, cancel := context.WithCancel(ctx)
		second, behind := make(chan error, 1), &tap{}
		go func() {
			_, err := h.CallWith(hasty, assigner.Request{Body: behind, Size: -1})
			second <- err
		}()
		cancel()
		require.ErrorIs(t, receive(t, second, "the second call's end"), assigner.ErrCancelled)
		require.Zero(t, behind.taken.Load(), "nothing of a body is sent before its call's turn")
		close(p.release)
		require.NoError(t, receive(t, first, "the first call's end"))
		require.NoError(t, receive(t, p.ended, "the handler's end"))
		got, err := h.CallWith(ctx, assigner.Request{Body: bytes.NewReader(noise(5)), Size: 5})
		require.NoError(t, err)
		require.Equal(t, "5", string(got[0]))
	})
}

// A broker that leaves takes the routed hits along; half a body is nobody's whole one.
func TestABrokerThatLeavesInTheMiddle(t *testing.T) {
	for _, perFrame := range []bool{false, true} {
		for _, service := range currents {
			t.Run(fmt.Sprint(service, " frames=", perFrame), func(t *testing.T) {
				p := newPlumber()
				a := way{assigner.Routed, perFrame}.stage(t, p.services())
				f := p.flow(t, limited(t), a.open(service))
				require.NoError(t, a.broker.Close(context.Background()))
				requireError(t, receive(t, f.reply, "the caller's end"), assigner.ErrBrokerGone, assigner.Unknown)
				require.ErrorIs(t, receive(t, p.ended, "the handler's end"), context.Canceled)
			})
		}
	}
}

// A handler that panics fails its own call and hit, whichever bodies are under way; the worker serves the next one.
func TestAPanicInTheMiddle(t *testing.T) {
	onEveryWay(t, func(t *testing.T, w way) {
		half := make([]byte, 600<<10)
		a := w.stage(t, services{
			"drain": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
				_, _ = io.ReadFull(c.Input(), half[:1000])
				panic("a broken pipe")
			}},
			"pour": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
				out, _ := c.Output(int64(2 * len(half)))
				_, _ = out.Write(make([]byte, len(half)))
				panic("a broken pipe")
			}},
			"echo": {Handler: echo},
		}, func(c *assigner.WorkerConfig) { c.Slots = 1 })
		for _, service := range []string{"drain", "pour"} {
			h, ctx := a.open(service), limited(t)
			r, err := h.Stream(ctx, assigner.Request{Body: &tap{}, Size: -1})
			if err == nil {
				_, err = io.Copy(io.Discard, r.Body)
			}
			requireError(t, err, assigner.ErrPanicked, assigner.Unknown)
			require.ErrorContains(t, err, "a broken pipe")
			_, err = h.Call(ctx, nil)
			require.Error(t, err, "the session is lost")
			next := a.open("echo")
			_, err = next.Call(ctx, nil)
			require.NoError(t, err)
			require.NoError(t, next.Close(ctx))
		}
	})
}

// window is how much of a body may be under way at most, and page what a reader may have asked its source for besides.
const window, page = 768 << 10, 384 << 10

// hit.md, section 15: "what is under way of one body is bounded by its receiver, at the broker, too." Who does not read stops the sender, and nobody else.
func TestAReceiverThatDoesNotRead(t *testing.T) {
	onEveryWay(t, func(t *testing.T, w way) {
		p := newPlumber()
		a := w.stage(t, p.services())
		ctx, small := limited(t), a.open("echo")
		beside := func() {
			for range 50 {
				_, err := small.Call(ctx, []byte("small"))
				require.NoError(t, err)
			}
		}
		body, answer := &tap{}, make(chan string, 1)
		h := a.open("hold")
		const size = 5 << 20
		go func() {
			got, err := h.CallWith(ctx, assigner.Request{Body: body, Size: size})
			if err != nil {
				got = [][]byte{[]byte(err.Error())}
			}
			answer <- string(got[0])
		}()
		receive(t, p.begun, "the body to flow")
		until(t, "the window is full", func() bool { return body.taken.Load() >= window })
		beside()
		require.LessOrEqual(t, body.taken.Load(), int64(window+page), "more of the body was taken than may be under way")
		close(p.release)
		require.Equal(t, fmt.Sprint(size), receive(t, answer, "the answer"))
		require.NoError(t, receive(t, p.ended, "the handler's end"))

		r, err := a.open("pour").Stream(ctx, assigner.Request{})
		require.NoError(t, err)
		until(t, "the window is full", func() bool { return p.poured.Load() >= window-page })
		beside()
		require.LessOrEqual(t, p.poured.Load(), int64(window+page), "more of the reply was taken than may be under way")
		_, err = io.CopyN(io.Discard, r.Body, 3<<20)
		require.NoError(t, err, "it goes on where it stood")
		require.NoError(t, r.Body.Close())
		require.ErrorIs(t, receive(t, p.ended, "the handler's end"), context.Canceled)
	})
}

// Bodies of several hits flow at once, each its own.
func TestManyBodiesAtOnce(t *testing.T) {
	onEveryWay(t, func(t *testing.T, w way) {
		a := w.stage(t, services{"mirror": {Handler: mirror}, "echo": {Handler: echo}}, func(c *assigner.WorkerConfig) { c.Slots = 8 })
		ctx, ended := limited(t), make(chan error, 6)
		for i := range 6 {
			h, body := a.open("mirror"), noise(2<<20+i*1000)
			go func() {
				r, err := h.Stream(ctx, assigner.Request{Body: bytes.NewReader(body), Size: int64(len(body))})
				if err != nil {
					ended <- err
					return
				}
				got := sha256.New()
				n, err := io.Copy(got, r.Body)
				if want := sha256.Sum256(body); err == nil && !bytes.Equal(want[:], got.Sum(nil)) {
					err = fmt.Errorf("body %d came back as something else, %d bytes", i, n)
				}
				ended <- err
			}()
		}
		small := a.open("echo")
		for i := range 100 {
			got, err := small.Call(ctx, fmt.Appendf(nil, "%d", i))
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(i), string(got))
		}
		for range 6 {
			require.NoError(t, receive(t, ended, "a body"))
		}
	})
}
