package assigner_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// noise is a body of so many bytes that no one else has.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(b)
	return b
}

// sum answers with the hash and the length of the body.
func sum(_ context.Context, c *assigner.Call) ([]byte, error) {
	hash := sha256.New()
	n, err := io.Copy(hash, c.Input())
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%x %d %d", hash.Sum(nil), n, c.Size()), nil
}

// mirror sends the body back as it comes.
func mirror(_ context.Context, c *assigner.Call) ([]byte, error) {
	w, err := c.Output(c.Size(), c.Frames...)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, c.Input()); err != nil {
		return nil, err
	}
	return nil, w.Close()
}

// source sends as many bytes as the body says, and fails after as many as its second frame says.
func source(_ context.Context, c *assigner.Call) ([]byte, error) {
	n, err := strconv.Atoi(string(c.Body()))
	if err != nil {
		return nil, err
	}
	w, err := c.Output(int64(n))
	if err != nil {
		return nil, err
	}
	if len(c.Frames) > 1 {
		fails, _ := strconv.Atoi(string(c.Frames[1]))
		_, _ = w.Write(make([]byte, fails))
		return nil, errors.New("out of ink")
	}
	_, err = io.Copy(w, bytes.NewReader(noise(n)))
	return nil, errors.Join(err, w.Close())
}

// streamStage is a broker, a worker of the services above and others, and a client's hit.
func streamStage(t *testing.T, w way, service string, more ...services) (*assigner.Hit, context.Context) {
	t.Helper()
	all := services{"sum": {Handler: sum}, "mirror": {Handler: mirror}, "source": {Handler: source}, "echo": {Handler: echo}}
	for _, s := range more {
		for name, x := range s {
			all[name] = x
		}
	}
	return w.stage(t, all).open(service), limited(t)
}

// sizes are those at which something may change: of a part, of the window, and beside them.
var sizes = []int{0, 1, 384<<10 - 1, 384 << 10, 384<<10 + 1, 768 << 10, 768<<10 + 1, 1 << 20, 5<<20 + 7}

func TestBodiesInParts(t *testing.T) {
	onEveryWay(t, func(t *testing.T, w way) {
		h, ctx := streamStage(t, w, "sum")
		for _, n := range sizes {
			body := noise(n)
			for _, size := range []int64{int64(n), -1} {
				got, err := h.CallWith(ctx, assigner.Request{Body: bytes.NewReader(body), Size: size})
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("%x %d %d", sha256.Sum256(body), n, size), string(got[0]))
			}
		}
		got, err := h.CallWith(ctx, assigner.Request{Body: iotest.OneByteReader(bytes.NewReader(noise(3000))), Size: -1})
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%x 3000 -1", sha256.Sum256(noise(3000))), string(got[0]))
		require.NoError(t, h.Close(ctx))
	})
}

func TestRepliesInParts(t *testing.T) {
	onEveryWay(t, func(t *testing.T, w way) {
		h, ctx := streamStage(t, w, "source")
		for _, n := range sizes {
			r, err := h.Stream(ctx, assigner.Request{Frames: [][]byte{strconv.AppendInt(nil, int64(n), 10)}})
			require.NoError(t, err)
			require.EqualValues(t, n, r.Size)
			require.Equal(t, [][]byte{{}}, r.Frames)
			got, err := io.ReadAll(iotest.HalfReader(r.Body))
			require.NoError(t, err)
			require.True(t, bytes.Equal(noise(n), got), "%d bytes", n)
			require.NoError(t, r.Body.Close())
			whole, err := h.Call(ctx, strconv.AppendInt(nil, int64(n), 10))
			require.NoError(t, err)
			require.True(t, bytes.Equal(noise(n), whole), "%d bytes, collected", n)
		}
		require.NoError(t, h.Close(ctx))
	})
}

func TestBothWaysAtOnce(t *testing.T) {
	onEveryWay(t, func(t *testing.T, w way) {
		h, ctx := streamStage(t, w, "mirror")
		body := noise(9<<20 + 3)
		r, err := h.Stream(ctx, assigner.Request{Frames: [][]byte{[]byte("a"), []byte("b")}, Body: bytes.NewReader(body), Size: int64(len(body))})
		require.NoError(t, err)
		require.Equal(t, [][]byte{[]byte("a"), []byte("b")}, r.Frames)
		got, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, got))
		require.NoError(t, h.Close(ctx))
	})
}

// A service that ends with an error in the middle, in either direction, is never taken for one that came to its end.
func TestRepliesThatEndEarly(t *testing.T) {
	onEveryWay(t, func(t *testing.T, w way) {
		h, ctx := streamStage(t, w, "source")
		for _, after := range []string{"0", "5", "700000"} {
			r, err := h.Stream(ctx, assigner.Request{Frames: [][]byte{[]byte("800000"), []byte(after)}})
			require.NoError(t, err)
			_, err = io.ReadAll(r.Body)
			requireError(t, err, assigner.ErrService, assigner.Finished)
			require.ErrorContains(t, err, "out of ink")
			require.NoError(t, r.Body.Close())
		}
		got, err := h.Call(ctx, []byte("3"))
		require.NoError(t, err, "the hit goes on")
		require.Equal(t, noise(3), got)
	})
}

func TestCallersWhoseBodyFails(t *testing.T) {
	onEveryWay(t, func(t *testing.T, w way) {
		h, ctx := streamStage(t, w, "sum")
		broken := errors.New("the disk is gone")
		for _, n := range []int{0, 10, 3 << 20} {
			body := io.MultiReader(bytes.NewReader(noise(n)), iotest.ErrReader(broken))
			_, err := h.CallWith(ctx, assigner.Request{Body: body, Size: -1})
			requireError(t, err, assigner.ErrCancelled, assigner.Unknown)
			require.ErrorIs(t, err, broken)
			short := io.MultiReader(bytes.NewReader(noise(n)), iotest.ErrReader(io.ErrUnexpectedEOF)) // as of a connection that broke off
			_, err = h.CallWith(ctx, assigner.Request{Body: short, Size: -1})
			requireError(t, err, assigner.ErrCancelled, assigner.Unknown)
			_, err = h.CallWith(ctx, assigner.Request{Body: bytes.NewReader(noise(n)), Size: int64(n) + 1})
			requireError(t, err, assigner.ErrCancelled, assigner.Unknown)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}
		got, err := h.CallWith(ctx, assigner.Request{Body: bytes.NewReader(noise(9)), Size: 9})
		require.NoError(t, err, "the hit goes on")
		require.Equal(t, fmt.Sprintf("%x 9 9", sha256.Sum256(noise(9))), string(got[0]))
	})
}

// Who does not read costs nobody anything: a handler that ignores its input, a caller that closes the reply.
func TestUnreadBodies(t *testing.T) {
	onEveryWay(t, func(t *testing.T, w way) {
		h, ctx := streamStage(t, w, "echo")
		for range 20 {
			got, err := h.CallWith(ctx, assigner.Request{Frames: [][]byte{[]byte("head")}, Body: bytes.NewReader(noise(4 << 20)), Size: 4 << 20})
			require.NoError(t, err)
			require.Equal(t, "head", string(got[0]))
		}
		h, ctx = streamStage(t, w, "source")
		for range 20 {
			r, err := h.Stream(ctx, assigner.Request{Frames: [][]byte{[]byte("9000000")}})
			require.NoError(t, err)
			_, err = io.CopyN(io.Discard, r.Body, 1000)
			require.NoError(t, err)
			require.NoError(t, r.Body.Close())
			_, err = r.Body.Read(make([]byte, 1))
			requireError(t, err, assigner.ErrCancelled, assigner.Unknown)
		}
		got, err := h.Call(ctx, []byte("3"))
		require.NoError(t, err)
		require.Equal(t, noise(3), got)
	})
}
