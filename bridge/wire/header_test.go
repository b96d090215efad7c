package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestHeaderIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := wire.Header{
			Type:   wire.Type(rapid.Uint8().Draw(t, "type")),
			Flags:  wire.Flags(rapid.Uint16().Draw(t, "flags")),
			Status: wire.Status(rapid.Uint16().Draw(t, "status")),
			Hit:    rapid.Uint64().Draw(t, "hit"),
			Epoch:  rapid.Uint32().Draw(t, "epoch"),
			Seq:    rapid.Uint32().Draw(t, "seq"),
			Part:   rapid.Uint32().Draw(t, "part"),
			Arg:    rapid.Uint32().Draw(t, "arg"),
		}
		frame := make([]byte, wire.HeaderSize+1)
		frame[wire.HeaderSize] = 0xa5
		want.Put(frame)
		if frame[wire.HeaderSize] != 0xa5 {
			t.Fatal("Put wrote beyond the header")
		}
		var got wire.Header
		if err := got.Parse(frame[:wire.HeaderSize]); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("wrote %v, read %v", want, got)
		}
	})
}

func TestHeaderOfAnotherLengthIsRefused(t *testing.T) {
	quote(t, "header = 32OCTET")
	full := wire.Header{Type: wire.Ping}.Bytes()
	for n := range 2 * wire.HeaderSize {
		if n == wire.HeaderSize {
			continue
		}
		frame := append(full[:min(n, wire.HeaderSize):wire.HeaderSize], make([]byte, max(0, n-wire.HeaderSize))...)
		requireBad(t, wire.BadFrame, new(wire.Header).Parse(frame), "header frame")
	}
}

func TestPartIsForPartsOnly(t *testing.T) {
	quote(t, "| 24 | 4 | part | number of a PART within its call, from 1; else 0 |")
	quote(t, "a field out of range")
	h := wire.Header{Type: wire.Call, Seq: 1, Part: 1}
	requireBad(t, wire.BadFrame, h.Check(1), "part 1")
	h = wire.Header{Type: wire.Part, Seq: 1, Part: 1}
	require.NoError(t, h.Check(1))
	h.Part = 0
	requireBad(t, wire.BadFrame, h.Check(1), "part 0")
}

func TestBodiesAreFromOneToSixty(t *testing.T) {
	quote(t, "any number of frames from 1 to 60, each of any length including zero")
	for _, tc := range []struct {
		header wire.Header
		before int // frames between header and bodies
	}{
		{wire.Header{Type: wire.Open, Flags: wire.First | wire.Ref}, 2},
		{wire.Header{Type: wire.Begin, Flags: wire.First}, 2},
		{wire.Header{Type: wire.Call}, 0},
		{wire.Header{Type: wire.Reply}, 0},
	} {
		for bodies := range 62 {
			err := tc.header.Check(tc.before + bodies)
			if bodies >= 1 && bodies <= wire.MaxBodies {
				require.NoError(t, err, "%v with %d bodies", tc.header.Type, bodies)
			} else {
				requireBad(t, wire.BadFrame, err, tc.header.Type.String())
			}
		}
	}
}

func TestBodiesOnlyWithFirst(t *testing.T) {
	quote(t, "bodies only with the flag `first`")
	quote(t, "OPEN and BEGIN with `first`, CALL, REPLY, PART, ERROR")
	for _, typ := range []wire.Type{wire.Open, wire.Begin} {
		plain := wire.Header{Type: typ}
		require.NoError(t, plain.Check(2))
		requireBad(t, wire.BadFrame, plain.Check(3), "without the flag first")
		first := wire.Header{Type: typ, Flags: wire.First}
		require.NoError(t, first.Check(3))
		requireBad(t, wire.BadFrame, first.Check(2), "no body")
		last := wire.Header{Type: typ, Flags: wire.Last}
		requireBad(t, wire.BadFlag, last.Check(2), "without first")
	}
}

func TestOpenedHasHandleAndWorkerOrNeither(t *testing.T) {
	quote(t, "opened = header handle worker")
	quote(t, "opened = header ; from the worker")
	h := wire.Header{Type: wire.Opened}
	require.NoError(t, h.Check(0))
	require.NoError(t, h.Check(2))
	requireBad(t, wire.BadFrame, h.Check(1), "handle and worker")
	require.NoError(t, h.Check(3), "with a session key")
	requireBad(t, wire.BadFrame, h.Check(4), "handle and worker")
	requireBad(t, wire.BadFrame, h.Check(7), "at most 6")
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	in := wire.Header{Type: wire.Call, Hit: 1 << 60, Epoch: 2, Seq: 3, Arg: 4}
	frame := in.Bytes()
	var out wire.Header
	allocs := testing.AllocsPerRun(1000, func() {
		in.Put(frame)
		if out.Parse(frame) != nil || out.Check(1) != nil {
			panic("a valid CALL was refused")
		}
	})
	require.Zero(t, allocs)
	require.Equal(t, in, out)
}

func TestHeaderShowsWhatItIs(t *testing.T) {
	h := wire.Header{Type: wire.Error, Flags: wire.Last, Status: wire.WorkerGone, Hit: 0xabc, Epoch: 1, Seq: 2, Arg: 3}
	require.Equal(t, "ERROR hit=abc flags=0002 status=worker-gone epoch=1 seq=2 arg=3", h.String())
}

// requireBad demands a *BadMessage of the status whose text has the words.
func requireBad(t testing.TB, want wire.Status, err error, words string) {
	t.Helper()
	var refused *wire.BadMessage
	require.ErrorAs(t, err, &refused)
	require.Equal(t, want, refused.Status, refused.Text)
	require.Contains(t, refused.Text, words)
}

func BenchmarkHeader(b *testing.B) {
	h := wire.Header{Type: wire.Call, Hit: 1 << 60, Epoch: 2, Seq: 3, Arg: 4}
	frame := h.Bytes()
	b.ReportAllocs()
	for b.Loop() {
		h.Put(frame)
		if h.Parse(frame) != nil || h.Check(1) != nil {
			b.Fatal("a valid CALL was refused")
		}
	}
}
