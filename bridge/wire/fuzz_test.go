package wire_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// FuzzHeader: no frame makes the codec panic, what is accepted is written back byte for byte, and every refusal is a
// BadMessage with a text and one of the four statuses for bad messages.
func FuzzHeader(f *testing.F) {
	for _, v := range readVectors(f).Headers {
		f.Add(v.frame(f), uint8(v.Frames))
	}
	f.Fuzz(func(t *testing.T, frame []byte, frames uint8) {
		var h wire.Header
		if err := h.Parse(frame); err != nil {
			requireRefusal(t, err)
			return
		}
		if got := h.Bytes(); !bytes.Equal(got, frame) {
			t.Fatalf("read %x, wrote %x", frame, got)
		}
		if h.String() == "" {
			t.Fatal("a header without a text")
		}
		err := h.Check(int(frames))
		switch {
		case err != nil:
			requireRefusal(t, err)
		case !h.Type.Known():
			t.Fatalf("%v was accepted", h)
		}
	})
}

// FuzzCold: no JSON frame makes a parser panic, and what is accepted is accepted again when written anew.
func FuzzCold(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"name":"a","lang":"go","window":4096}`,
		`{"services":["echo"],"slots":8,"busy":1,"threads":"pinned"}`,
		`{"services":["a b"],"slots":0}`, `{"label":"x","session":{"a":[1,2]}}`, "{\"name\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		again(t, wire.ParseHello, frame)
		again(t, wire.ParseReady, frame)
		again(t, wire.ParseOptions, frame)
		if err := wire.CheckService(frame); err != nil {
			requireRefusal(t, err)
		}
	})
}

func again[T any](t *testing.T, parse func([]byte) (T, error), frame []byte) {
	t.Helper()
	info, err := parse(frame)
	if err != nil {
		requireRefusal(t, err)
		return
	}
	first := wire.JSON(info)
	info, err = parse(first)
	if err != nil {
		t.Fatalf("%q was accepted, but not its own form %q: %v", frame, first, err)
	}
	if second := wire.JSON(info); !bytes.Equal(first, second) {
		t.Fatalf("%q became %q", first, second)
	}
}

func requireRefusal(t *testing.T, err error) {
	t.Helper()
	var refused *wire.BadMessage
	if !errors.As(err, &refused) || refused.Text == "" || refused.Status < wire.BadFrame || refused.Status > wire.BadFlag {
		t.Fatalf("not a proper refusal: %#v", err)
	}
}
