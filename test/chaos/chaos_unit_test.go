package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/test/harness"
)

// The checkers themselves: they see each thing that can be wrong, and nothing else.

// frames puts messages as they are on the wire behind a greeting.
func onWire(heads ...wire.Header) []byte {
	b := make([]byte, zmtpGreeting)
	frame := func(flags byte, body []byte) {
		if len(body) < 256 {
			b = append(append(b, flags, byte(len(body))), body...)
			return
		}
		b = append(b, flags|flagLong, 0, 0, 0, 0, 0, 0, byte(len(body)>>8), byte(len(body)))
		b = append(b, body...)
	}
	frame(flagCommand, []byte("\x05READY"))
	for i, h := range heads {
		if i%2 == 0 {
			frame(flagMore, h.Bytes())
			frame(flagMore, make([]byte, 300))
			frame(0, nil)
			continue
		}
		frame(0, h.Bytes())
	}
	return b
}

func reply(seq uint32, flags ...wire.Flags) wire.Header {
	h := wire.Header{Type: wire.Reply, Hit: 7, Epoch: 1, Seq: seq}
	for _, f := range flags {
		h.Flags |= f
	}
	return h
}

func TestTap(t *testing.T) {
	opened := wire.Header{Type: wire.Opened, Flags: wire.Ref, Hit: 3, Epoch: 1}
	oneShot := wire.Header{Type: wire.Reply, Flags: wire.Ref | wire.Last, Hit: 4, Seq: 1}
	refused := wire.Header{Type: wire.Error, Status: wire.QueueFull, Hit: 7, Epoch: 1, Seq: 2, Arg: uint32(wire.NeverStarted)}
	broken := wire.Header{Type: wire.Error, Status: wire.Cancelled, Hit: 7, Epoch: 1, Seq: 1, Arg: uint32(wire.Unknown)}
	closed := wire.Header{Type: wire.Closed, Hit: 7, Epoch: 1}
	resumed := wire.Header{Type: wire.Resumed, Hit: 7, Epoch: 2}
	part := wire.Header{Type: wire.Part, Hit: 7, Epoch: 1, Seq: 1, Part: 1}
	again := reply(2)
	again.Epoch = 2
	for name, c := range map[string]struct {
		said []wire.Header
		want string
	}{
		"fine":                {[]wire.Header{opened, reply(1), refused, reply(2), closed, oneShot}, ""},
		"in parts":            {[]wire.Header{reply(1, wire.More), part, reply(2)}, ""},
		"broken in parts":     {[]wire.Header{reply(1, wire.More), broken, reply(2)}, ""},
		"resumed":             {[]wire.Header{reply(1), resumed, again}, ""},
		"doubled":             {[]wire.Header{reply(1), reply(1)}, "doubled"},
		"doubled after parts": {[]wire.Header{reply(1, wire.More), part, broken}, "doubled"},
		"doubled open":        {[]wire.Header{opened, opened}, "doubled"},
		"doubled one-shot":    {[]wire.Header{oneShot, oneShot}, "doubled"},
		"order":               {[]wire.Header{reply(2), reply(1)}, "order"},
		"after the end":       {[]wire.Header{reply(1), closed, reply(2)}, "stale"},
		"after the last":      {[]wire.Header{reply(1, wire.Last), reply(2)}, "stale"},
		"old epoch":           {[]wire.Header{resumed, reply(2)}, "stale"},
	} {
		for range 20 {
			tap := &Tap{}
			take := tap.Watch(harness.Down, 1)
			for b := onWire(c.said...); len(b) > 0; {
				n := 1 + rand.IntN(min(len(b), 50))
				take(b[:n])
				b = b[n:]
			}
			found, messages, _ := tap.Found()
			require.EqualValues(t, len(c.said), messages, name)
			if c.want == "" {
				require.Empty(t, found, name)
				continue
			}
			require.Len(t, found, 1, name)
			require.Equal(t, c.want, found[0].Promise, name)
		}
	}
}

func TestAudit(t *testing.T) {
	direct := Told{Key: "k", No: 2, Kind: "direct", Status: "worker-gone", Outcome: "outcome unknown", Over: 100}
	fine := Told{Key: "k", No: 1, Kind: "routed", Replied: true, Count: 1}
	ran := "B k 1 1 10 11 50\nE k 1\n"
	movable := Told{Key: "k", No: 1, Kind: again, Replied: true, Count: 1}
	often := ""
	for i := 2; i <= mostRuns+1; i++ {
		often += fmt.Sprintf("B k~%d 1 1 %d 11 %d\nE k~%d 1\n", i, 10*i, 50+i, i)
	}
	for name, c := range map[string]struct {
		journal string
		told    []Told
		cut     []string
		want    string
	}{
		"fine":              {ran + "C k 10 11\n", []Told{fine}, nil, ""},
		"unknown, ran":      {ran, []Told{{Key: "k", No: 1, Kind: "routed", Outcome: "outcome unknown"}}, nil, ""},
		"never started":     {"", []Told{{Key: "k", No: 1, Kind: "routed", Outcome: "never started"}}, nil, ""},
		"client was killed": {ran, nil, []string{"k"}, ""},
		"lost":              {"", []Told{{Key: "k", No: 1, Kind: "routed", Lost: true}}, nil, "lost"},
		"nobody was told":   {ran, nil, nil, "lost"},
		"ran twice":         {ran + "B k 1 2 10 11 60\nE k 1\n", []Told{fine}, nil, "doubled"},
		"told twice":        {ran + "B k 2 2 10 11 60\nE k 2\n", []Told{fine, {Key: "k", No: 2, Kind: "routed", Replied: true, Count: 1}}, nil, "doubled"},
		"two threads":       {ran + "B k 2 2 10 12 60\nE k 2\n", []Told{fine}, nil, "threads"},
		"at the same time":  {"B k 1 1 10 11 50\nB k 2 2 10 11 60\n", []Told{fine}, nil, "threads"},
		"order":             {"B k 2 2 10 11 50\nE k 2\nB k 1 1 10 11 60\nE k 1\n", []Told{fine}, nil, "order"},
		"reply, not run":    {"", []Told{fine}, nil, "stale"},
		"run, not started":  {ran, []Told{{Key: "k", No: 1, Kind: "routed", Outcome: "never started"}}, nil, "wrong"},
		"wrong reply":       {ran, []Told{{Key: "k", No: 1, Kind: "routed", Replied: true, Wrong: "another's"}}, nil, "wrong"},
		"one after the end": {"B k 2 2 10 11 150\nE k 2\n", []Told{direct}, nil, ""},
		"moved":             {"B k~1 1 1 10 11 50\nB k~2 1 1 20 21 60\nE k~2 1\n", []Told{movable}, nil, ""},
		"moved too often":   {"B k~1 1 1 10 11 50\nE k~1 1\n" + often, []Told{movable}, nil, "doubled"},
		"moved, told twice": {"B k~2 1 1 20 21 60\nE k~2 1\n", []Told{movable, movable}, nil, "doubled"},
		"moved, not run":    {"", []Told{movable}, nil, "stale"},
		"moved, nobody":     {"B k~2 1 1 20 21 60\nE k~2 1\n", nil, nil, "lost"},
		"after the end":     {"B k 2 2 10 11 150\nE k 2\nB k 3 3 10 11 160\nE k 3\n", []Told{direct}, nil, "stale"},
	} {
		file := filepath.Join(t.TempDir(), "journal")
		require.NoError(t, os.WriteFile(file, []byte(c.journal), 0o600))
		sessions, err := ReadJournal(file)
		require.NoError(t, err, name)
		v := &Violations{}
		Audit(c.told, sessions, c.cut, v)
		if c.want == "" {
			require.Zero(t, v.Total(), "%s: %v", name, v.First)
			continue
		}
		require.Equal(t, map[string]int{c.want: 1}, v.Counts, "%s: %v", name, v.First)
	}
}

func TestLedgerOfAKilledProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ledger")
	l, err := OpenLedger(file)
	require.NoError(t, err)
	l.Note(Told{Key: "k", No: 1, Replied: true, Count: 1})
	l.Note(Told{Key: "k", No: 2, Status: "worker-gone"})
	_, err = l.file.WriteString(`{"key":"k","no":3,`)
	require.NoError(t, err)
	require.NoError(t, l.file.Close())
	told, err := ReadLedger(file)
	require.NoError(t, err)
	require.Equal(t, []Told{{Key: "k", No: 1, Replied: true, Count: 1}, {Key: "k", No: 2, Status: "worker-gone"}}, told)
	told, err = ReadLedger(file + "-of-nobody")
	require.NoError(t, err)
	require.Empty(t, told)
}
