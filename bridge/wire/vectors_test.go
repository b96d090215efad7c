package wire_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

var update = flag.Bool("update", false, "rewrite docs/protocol/vectors.txt from vectors.json")

// vectors is docs/protocol/vectors.json. That file is the source: it was not written by this codec, and
// vectors.txt is the same in lines for readers without a JSON parser.
type vectors struct {
	Headers []headerVector `json:"headers"`
	Credits []creditVector `json:"credits"`
}

// headerVector is a header frame, the number of frames after it, and what is to be made of them.
type headerVector struct {
	Name   string `json:"name"`
	Expect string `json:"expect"` // name of a status; the fields are given for ok only
	Frames int    `json:"frames"`
	Hex    string `json:"hex"`
	Type   uint8  `json:"type"`
	Flags  uint16 `json:"flags"`
	Status uint16 `json:"status"`
	Hit    string `json:"hit"` // hexadecimal
	Epoch  uint32 `json:"epoch"`
	Seq    uint32 `json:"seq"`
	Part   uint32 `json:"part"`
	Arg    uint32 `json:"arg"`
}

// creditVector is a limit in force in bytes, the arg of a CREDIT, and the limit that follows.
type creditVector struct {
	Name  string `json:"name"`
	Limit uint64 `json:"limit"`
	Arg   uint32 `json:"arg"`
	Want  uint64 `json:"want"`
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	text, err := os.ReadFile("../../docs/protocol/vectors.json")
	require.NoError(t, err)
	var v vectors
	require.NoError(t, json.Unmarshal(text, &v))
	require.Greater(t, len(v.Headers), 100)
	require.NotEmpty(t, v.Credits)
	return v
}

func (v headerVector) frame(t testing.TB) []byte {
	t.Helper()
	frame, err := hex.DecodeString(v.Hex)
	require.NoError(t, err)
	return frame
}

func (v headerVector) header(t testing.TB) wire.Header {
	t.Helper()
	hit, err := strconv.ParseUint(v.Hit, 16, 64)
	require.NoError(t, err)
	return wire.Header{
		Type: wire.Type(v.Type), Flags: wire.Flags(v.Flags), Status: wire.Status(v.Status),
		Hit: hit, Epoch: v.Epoch, Seq: v.Seq, Part: v.Part, Arg: v.Arg,
	}
}

func TestHeaderVectors(t *testing.T) {
	for _, v := range readVectors(t).Headers {
		t.Run(v.Name, func(t *testing.T) {
			var got wire.Header
			err := got.Parse(v.frame(t))
			if err == nil {
				err = got.Check(v.Frames)
			}
			if v.Expect != "ok" {
				want, known := wire.ParseStatus(v.Expect)
				require.True(t, known, v.Expect)
				requireBad(t, want, err, "")
				return
			}
			require.NoError(t, err)
			require.Equal(t, v.header(t), got)
			require.Equal(t, v.Hex, hex.EncodeToString(v.header(t).Bytes()))
		})
	}
}

func TestVectorsCoverTheProtocol(t *testing.T) {
	names, types, refusals := map[string]bool{}, map[wire.Type]bool{}, map[string]bool{}
	for _, v := range readVectors(t).Headers {
		require.False(t, names[v.Name], "%s is there twice", v.Name)
		names[v.Name] = true
		if v.Expect == "ok" {
			types[wire.Type(v.Type)] = true
		} else {
			refusals[v.Expect] = true
		}
	}
	for n := range 256 {
		require.Equal(t, wire.Type(n).Known(), types[wire.Type(n)], "a valid vector of type %d", n)
	}
	require.Equal(t, map[string]bool{"bad-frame": true, "bad-version": true, "bad-type": true, "bad-flag": true}, refusals)
}

func TestCreditVectors(t *testing.T) {
	for _, v := range readVectors(t).Credits {
		require.Equal(t, v.Want, wire.CreditLimit(v.Limit, v.Arg), v.Name)
	}
}

// TestVectorsText keeps vectors.txt equal to vectors.json; `go test ./bridge/wire -run VectorsText -update` rewrites it.
func TestVectorsText(t *testing.T) {
	const path = "../../docs/protocol/vectors.txt"
	want := readVectors(t).text()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

// text returns one line a vector: its kind, then the values in the order of the JSON keys, "-" for an empty one.
func (v vectors) text() string {
	var b strings.Builder
	for _, h := range v.Headers {
		for _, empty := range []*string{&h.Hex, &h.Hit} {
			if *empty == "" {
				*empty = "-"
			}
		}
		fmt.Fprintf(&b, "header %s %s %d %s %d %d %d %s %d %d %d %d\n",
			h.Name, h.Expect, h.Frames, h.Hex, h.Type, h.Flags, h.Status, h.Hit, h.Epoch, h.Seq, h.Part, h.Arg)
	}
	for _, c := range v.Credits {
		fmt.Fprintf(&b, "credit %s %d %d %d\n", c.Name, c.Limit, c.Arg, c.Want)
	}
	return b.String()
}
