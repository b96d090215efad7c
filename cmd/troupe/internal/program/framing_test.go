package program

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		framing Framing
		frames  []string
		want    string
		says    string
	}{
		{Lines, []string{"a b"}, "a b\n", ""},
		{Lines, []string{""}, "\n", ""},
		{Lines, []string{"a\nb"}, "", "line break"},
		{Lines, []string{"a", "b"}, "", "2 frames"},
		{Blocks, []string{"a\nb"}, "\x00\x00\x00\x03a\nb", ""},
		{Blocks, []string{""}, "\x00\x00\x00\x00", ""},
		{Blocks, []string{"a", "b"}, "", "2 frames"},
	} {
		var frames [][]byte
		for _, f := range c.frames {
			frames = append(frames, []byte(f))
		}
		text, err := c.framing.encode(frames)
		if c.says != "" {
			require.ErrorIs(t, err, errBody)
			require.ErrorContains(t, err, c.says)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, string(text))
	}
}

func TestDecode(t *testing.T) {
	const limit = 10_000
	long := strings.Repeat("x", 9_999)
	for _, c := range []struct {
		name    string
		framing Framing
		text    string
		want    []reply
		says    string // empty: the end
	}{
		{"lines", Lines, "a\n\nb\r\n", []reply{{body: []byte("a")}, {body: []byte{}}, {body: []byte("b\r")}}, ""},
		{"a line without an end", Lines, "a\nb", []reply{{body: []byte("a")}, {body: []byte("b")}}, ""},
		{"a long line", Lines, long + "\n", []reply{{body: []byte(long)}}, ""},
		{"a line at the limit", Lines, long + "x\n", []reply{{body: []byte(long + "x")}}, ""},
		{"a line over the limit", Lines, long + "xx\n", nil, "more than 10000 bytes"},
		{"blocks", Blocks, "\x00\x00\x00\x01a\x00\x00\x00\x00", []reply{{body: []byte("a")}, {body: []byte{}}}, ""},
		{"an error", Blocks, "\x80\x00\x00\x02no", []reply{{body: []byte("no"), failed: true}}, ""},
		{"half a length", Blocks, "\x00\x00", nil, "within the length"},
		{"half a block", Blocks, "\x00\x00\x00\x03ab", nil, "within a block of 3 bytes"},
		{"a block without bytes", Blocks, "\x00\x00\x00\x03", nil, "within a block of 3 bytes"},
		{"text in place of a block", Blocks, "hello", nil, "do its lines begin with a length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(c.text))
			var got []reply
			var err error
			for err == nil {
				var one reply
				if one, err = c.framing.decode(r, limit); err == nil {
					got = append(got, one)
				}
			}
			require.Equal(t, c.want, got)
			if c.says == "" {
				require.ErrorIs(t, err, io.EOF)
			} else {
				require.ErrorContains(t, err, c.says)
			}
		})
	}
}

// FuzzFraming: what is encoded as a call is what a program of the same framing would answer.
func FuzzFraming(f *testing.F) {
	f.Add([]byte("hello"), true)
	f.Add([]byte{}, false)
	f.Add([]byte("a\nb"), false)
	f.Fuzz(func(t *testing.T, body []byte, lines bool) {
		framing := Blocks
		if lines {
			framing = Lines
		}
		text, err := framing.encode([][]byte{body})
		if err != nil {
			require.True(t, lines && bytes.IndexByte(body, '\n') >= 0)
			return
		}
		r := bufio.NewReader(bytes.NewReader(text))
		got, err := framing.decode(r, max(len(body), 1))
		require.NoError(t, err)
		require.Equal(t, string(body), string(got.body))
		_, err = framing.decode(r, 1)
		require.ErrorIs(t, err, io.EOF)
	})
}
