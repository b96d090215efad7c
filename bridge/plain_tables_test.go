package bridge

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// living is a registry for tests: who is in it is alive.
type living map[string]bool

func (l living) alive(pid *actor.PID) bool { return l[pid.Id] }

func (l living) spawn(id string) *actor.PID {
	l[id] = true
	return actor.NewPID("nonhost", id)
}

func counter() func() string {
	n := 0
	return func() string { n++; return fmt.Sprintf("~%d", n) }
}

func TestRepliesKnowWhoWaits(t *testing.T) {
	var r replies
	l, fresh := living{}, counter()
	a, b := l.spawn("a"), l.spawn("b")
	require.Equal(t, "~1", r.ask(a, fresh, l.alive))
	require.Equal(t, "~2", r.ask(b, fresh, l.alive))
	require.Equal(t, "~1", r.ask(actor.NewPID("nonhost", "a"), fresh, l.alive), "one address per sender, however its PID was made")
	require.Nil(t, r.answer([]byte("~3")), "an address nobody was given")
	require.Equal(t, a, r.answer([]byte("~1")))
	require.ElementsMatch(t, []*actor.PID{a, b}, r.waiting(), "a has asked twice")
	require.Equal(t, a, r.answer([]byte("~1")))
	require.Equal(t, []*actor.PID{b}, r.waiting())
	require.Equal(t, a, r.answer([]byte("~1")), "whoever lives can be written to again")
	require.Equal(t, []*actor.PID{b}, r.waiting(), "and owes nothing for it")
}

// TestRepliesForgetTheDead: a million futures that were never answered must not stay.
func TestRepliesForgetTheDead(t *testing.T) {
	var r replies
	l, fresh := living{}, counter()
	keep := l.spawn("keep")
	addr := r.ask(keep, fresh, l.alive)
	for i := range 10_000 {
		future := l.spawn("future$" + strconv.Itoa(i))
		r.ask(future, fresh, l.alive)
		delete(l, future.Id)
		require.LessOrEqual(t, len(r.byAddr), minSweep)
		require.Len(t, r.bySender, len(r.byAddr))
	}
	require.Equal(t, keep, r.answer([]byte(addr)))
	for i := range 1000 {
		r.ask(l.spawn("live"+strconv.Itoa(i)), fresh, l.alive)
	}
	require.GreaterOrEqual(t, len(r.byAddr), 1001, "the living stay")
}

// TestNamesAgreeWithAList compares the table with a slow list over random calls.
func TestNamesAgreeWithAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var n names
		l := living{}
		type row struct{ name, id string }
		var list []row
		forget := func(match func(row) bool) {
			var rest []row
			for _, r := range list {
				if !match(r) {
					rest = append(rest, r)
				}
			}
			list = rest
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			name := fmt.Sprint("n", rapid.IntRange(0, 5).Draw(t, "name"))
			id := fmt.Sprint("a", rapid.IntRange(0, 3).Draw(t, "actor"))
			switch rapid.SampledFrom([]string{"add", "remove", "die", "sweep"}).Draw(t, "do") {
			case "add":
				n.add(name, l.spawn(id), l.alive)
				forget(func(r row) bool { return r.name == name })
				list = append(list, row{name, id})
			case "remove":
				n.remove(name)
				forget(func(r row) bool { return r.name == name })
			case "die":
				delete(l, id)
			case "sweep":
				n.sweep(l.alive)
				forget(func(r row) bool { return !l[r.id] })
			}
			owns := map[string][]string{}
			for _, r := range list {
				owns[r.id] = append(owns[r.id], r.name)
				if l[r.id] {
					require.Equal(t, r.id, n.lookup([]byte(r.name), l.alive).GetId())
				} else {
					require.Nil(t, n.lookup([]byte(r.name), l.alive))
				}
			}
			forget(func(r row) bool { return !l[r.id] })
			require.Len(t, n.byName, len(list))
			for id, mine := range owns {
				sends, ok := n.of(actor.NewPID("nonhost", id))
				require.Equal(t, l[id], ok)
				if ok {
					require.Contains(t, mine, sends)
				}
			}
		}
	})
}

func TestNamesForgetTheDeadUnasked(t *testing.T) {
	var n names
	l := living{}
	for i := range 10_000 {
		pid := l.spawn("session" + strconv.Itoa(i))
		n.add("name"+strconv.Itoa(i), pid, l.alive)
		delete(l, pid.Id)
		require.LessOrEqual(t, len(n.byName), minSweep)
		require.LessOrEqual(t, len(n.byPID), minSweep)
	}
}

// TestQuoteIsInjective: two identities never share a PID.
func TestQuoteIsInjective(t *testing.T) {
	for _, simple := range []string{"worker-1", "a.b:c_d", "0"} {
		require.Equal(t, simple, quote(simple))
	}
	const alphabet = "ax0\"\\\x00\xff\n\xc3\xa9~/"
	seen := map[string]string{}
	for range 20_000 {
		raw := make([]byte, 1+rand.IntN(3))
		for i := range raw {
			raw[i] = alphabet[rand.IntN(len(alphabet))]
		}
		id := string(raw)
		q := quote(id)
		for _, c := range []byte(q) {
			require.True(t, c >= ' ' && c < 127, "%q is printable", q)
		}
		if other, ok := seen[q]; ok {
			require.Equal(t, other, id)
		}
		seen[q] = id
		if q != id {
			back, err := strconv.Unquote(q)
			require.NoError(t, err)
			require.Equal(t, id, back)
		}
	}
}

func TestBodiesThatCanBeSent(t *testing.T) {
	x := [][]byte{[]byte("x")}
	for _, m := range []any{Frames(x), x, []byte("x"), "x", &Message{Frames: x}} {
		body, ok := bodyOf(m)
		require.True(t, ok, "%T", m)
		require.Equal(t, x, body, "%T", m)
	}
	for _, m := range []any{nil, 1, struct{}{}, []string{"x"}, Message{Frames: x}, &actor.Started{}} {
		_, ok := bodyOf(m)
		require.False(t, ok, "%T", m)
	}
	m := &Message{Frames: x}
	require.Equal(t, []byte("x"), m.Frame(0))
	require.Nil(t, m.Frame(1))
	require.Nil(t, m.Frame(-1))
}

// TestMessageFramesDoNotOverlap: appending to one frame must not write into the next.
func TestMessageFramesDoNotOverlap(t *testing.T) {
	m := newMessage(&plainPeer{identity: "p"}, [][]byte{[]byte("ab"), nil, []byte("cd")}, 4)
	_ = append(m.Frames[0], 'X')
	_ = append(m.Frames[1], 'X')
	require.Equal(t, [][]byte{[]byte("ab"), {}, []byte("cd")}, m.Frames)
}

func TestPlainConfigValidate(t *testing.T) {
	for text, cfg := range map[string]PlainConfig{
		"PlainConfig.Bind is empty":              {},
		"PlainConfig.Queue is -1 messages":       {Bind: []string{"inproc://x"}, Queue: -1},
		"tcp://0.0.0.0:5700, which other hosts ": {Bind: []string{"tcp://0.0.0.0:5700"}},
		"tcp://*:5700, which other hosts ":       {Bind: []string{"tcp://*:5700"}},
	} {
		require.ErrorContains(t, cfg.Validate(), text)
	}
	for _, cfg := range []PlainConfig{
		{Bind: []string{"tcp://127.0.0.1:0", "ipc:///tmp/x", "inproc://x"}},
		{Bind: []string{"tcp://0.0.0.0:5700"}, Insecure: true},
	} {
		require.NoError(t, cfg.Validate())
	}
}
