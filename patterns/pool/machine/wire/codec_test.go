package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

func full() wire.Message {
	return wire.Message{
		Type: wire.AskAll, Flags: wire.Last, Term: 7, From: 1 << 63, Host: 2, Asker: 3, AskerHost: 4, Origin: 5, Seq: 6, Part: 8, Version: 9,
		Note: &wire.Note{Ask: &wire.Ask{All: true, Need: []wire.Need{{Host: 1, Member: 1<<64 - 1, From: 2}}, Labels: map[string]string{"a": "b"}}}, Body: []byte("body"),
	}
}

func TestMessagesSurviveTheWire(t *testing.T) {
	m := full()
	frames, err := m.Frames()
	require.NoError(t, err)
	require.Len(t, frames[0], wire.HeaderLen)
	again, err := wire.Parse(frames)
	require.NoError(t, err)
	require.Equal(t, m, again)
}

// TestWhatIsNotPOOL1: it is refused with an error, whatever it is.
func TestWhatIsNotPOOL1(t *testing.T) {
	m := full()
	good, err := m.Frames()
	require.NoError(t, err)
	change := func(at int, to byte) []byte {
		b := append([]byte(nil), good[0]...)
		b[at] = to
		return b
	}
	for name, frames := range map[string][][]byte{
		"nothing": nil, "two frames": good[:2], "short header": {good[0][:20], nil, nil}, "other magic": {change(0, 'X'), nil, nil}, "other version": {change(2, 9), nil, nil},
		"no type": {change(3, 0), nil, nil}, "unknown type": {change(3, 99), nil, nil}, "broken note": {good[0], []byte("{"), nil}, "bad id": {good[0], []byte(`{"record":{"id":"12"}}`), nil},
		"hello of nobody": {change(3, byte(wire.Hello)), nil, nil}, "view without one": {change(3, byte(wire.ViewIs)), []byte("{}"), nil},
	} {
		_, err := wire.Parse(frames)
		require.ErrorIs(t, err, wire.ErrBad, name)
	}
}

func FuzzParse(f *testing.F) {
	m := full()
	frames, _ := m.Frames()
	f.Add(frames[0], frames[1], frames[2])
	f.Fuzz(func(t *testing.T, header, note, body []byte) {
		m, err := wire.Parse([][]byte{header, note, body})
		if err != nil {
			require.ErrorIs(t, err, wire.ErrBad)
			return
		}
		require.NotEqual(t, "?", m.Type.String())
	})
}
