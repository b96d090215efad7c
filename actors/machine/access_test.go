package machine_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// guarded is a broker with a book, whose peers have the keys that the test says.
type guarded struct {
	t     *testing.T
	b     *machine.Broker
	users map[wire.Peer]string
}

func keyOf(n uint64) (k access.Key) {
	binary.BigEndian.PutUint64(k[24:], n)
	return k
}

func book(t *testing.T, entries ...access.Entry) *access.Book {
	t.Helper()
	b, err := access.NewBook(entries...)
	require.NoError(t, err)
	return b
}

var (
	ann  = access.Entry{Name: "ann", Key: keyOf(1), Rights: access.Rights{Client: access.Services{"upper"}}}
	w1   = access.Entry{Name: "w1", Key: keyOf(2), Rights: access.Rights{Worker: access.Services{"upper"}}}
	root = access.Entry{Name: "root", Key: keyOf(3), Rights: access.Rights{Admin: true}}
)

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{t: t, users: map[wire.Peer]string{
		1: ann.Key.String(), 2: w1.Key.String(), 3: root.Key.String(), 4: keyOf(9).String(), 5: "",
	}}
	cfg := config()
	cfg.Book = book(t, ann, w1, root)
	cfg.User = func(p wire.Peer) string { return g.users[p] }
	g.b = machine.NewBroker(cfg, &handles{t: t, next: 7, inUse: map[uint64]bool{}, window: 4 << 20})
	return g
}

func (g *guarded) say(from wire.Peer, h wire.Header, frames ...string) []machine.Effect {
	g.t.Helper()
	body := make([][]byte, len(frames))
	for i, f := range frames {
		body[i] = []byte(f)
	}
	m := wire.NewMessage(h, body...)
	m.From = from
	return g.b.Message(time.Minute, m, nil)
}

// answer is the type and text of the first message among effects.
func answer(fx []machine.Effect) (wire.Header, string) {
	for _, e := range fx {
		if e.Kind == machine.Send {
			return e.Header, string(e.Frames[0])
		}
	}
	return wire.Header{}, ""
}

func (g *guarded) refuses(fx []machine.Effect, text string) {
	g.t.Helper()
	h, said := answer(fx)
	require.Equal(g.t, wire.Error, h.Type)
	require.Equal(g.t, wire.Refused, h.Status)
	require.EqualValues(g.t, wire.NeverStarted, h.Arg)
	require.Contains(g.t, said, text)
}

func (g *guarded) says(fx []machine.Effect, want wire.Type) string {
	g.t.Helper()
	h, said := answer(fx)
	require.Equal(g.t, want, h.Type, said)
	return said
}

const readyUpper = `{"name":"w","services":["upper"],"slots":1}`

func TestRightsByKey(t *testing.T) {
	quote(t, "A key has rights: client of services (HELLO, OPEN), worker for services (READY), admin (HELLO, ADMIN).")
	quote(t, "Peers over ipc paths and inproc have no key, and are not judged.")
	g := newGuarded(t)
	hello, ready, admin := wire.Header{Type: wire.Hello}, wire.Header{Type: wire.Ready}, wire.Header{Type: wire.Admin, Arg: 5}
	open := wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 1}

	g.says(g.say(1, hello, "{}"), wire.Welcome)
	g.refuses(g.say(2, hello, "{}"), "(w1) may worker=upper, and is refused as a client")
	g.says(g.say(3, hello, "{}"), wire.Welcome)
	g.refuses(g.say(4, hello, "{}"), "not known here")
	g.says(g.say(5, hello, "{}"), wire.Welcome)

	g.refuses(g.say(1, ready, readyUpper), "refused as a worker for upper")
	g.refuses(g.say(2, ready, `{"name":"w","services":["upper","echo"],"slots":1}`), "--worker echo")
	g.says(g.say(2, ready, readyUpper), wire.Welcome)

	g.refuses(g.say(1, open, "echo", ""), "`troupe keys add ann --extend --client echo`")
	g.refuses(g.say(3, open, "upper", ""), "refused as a client of upper")
	fx := g.say(1, open, "upper", "")
	require.Equal(t, machine.Spawn, fx[len(fx)-1].Kind, "the hit is opened")

	g.refuses(g.say(1, admin, `{"cmd":"status"}`), "refused as an administrator")
	g.says(g.say(3, admin, `{"cmd":"status"}`), wire.Report)
	g.says(g.say(5, admin, `{"cmd":"status"}`), wire.Report)
	require.JSONEq(t, `{"encrypted":true,"fingerprint":"`+ann.Key.Fingerprint()+`","name":"ann","client":["upper"],"admin":false}`,
		g.says(g.say(1, admin, `{"cmd":"whoami"}`), wire.Report), "everybody may ask about himself")
	require.JSONEq(t, `{"encrypted":false,"client":["*"],"worker":["*"],"admin":true}`, g.says(g.say(5, admin, `{"cmd":"whoami"}`), wire.Report))

	s := g.b.Status(time.Minute)
	require.Equal(t, &machine.AccessTotals{Clients: 2, Workers: 2, Services: 2, Admins: 1}, s.Access)
}

func TestRevocationCutsPeers(t *testing.T) {
	quote(t, "the broker sends ERROR `refused` (hit 0, with a why-record of verdict REVOKED), then ends the connection.")
	g := newGuarded(t)
	for peer := wire.Peer(1); peer <= 5; peer += 2 { // ann, root, and one of this machine
		g.says(g.say(peer, wire.Header{Type: wire.Hello}, "{}"), wire.Welcome)
	}
	g.says(g.say(2, wire.Header{Type: wire.Ready}, readyUpper), wire.Welcome)
	require.Empty(t, g.b.Authorize(book(t, ann, w1, root), nil), "the same list hurts nobody")

	lesser := w1
	lesser.Rights = access.Rights{Worker: access.Services{"echo"}}
	fx := g.b.Authorize(book(t, lesser, root), nil)
	cut := map[wire.Peer]string{}
	told := map[wire.Peer]bool{}
	for _, e := range fx {
		switch e.Kind {
		case machine.Send:
			require.Equal(t, wire.Refused, e.Header.Status)
			require.Contains(t, string(e.Frames[1]), `"verdict":"REVOKED"`, "a why-record tells")
			told[e.To] = true
		case machine.Cut:
			require.True(t, told[e.To], "first it is told")
			cut[e.To] = e.Text
		default:
			require.Fail(t, "unexpected effect", "%v", e.Kind)
		}
	}
	require.Len(t, cut, 2)
	require.Contains(t, cut[1], "revoked")
	require.Contains(t, cut[2], "refused as a worker for upper")
	g.refuses(g.say(1, wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 1}, "upper", ""), "revoked")
	require.EqualValues(t, 2, g.b.Status(time.Minute).Access.Revoked)
}

func TestWithoutBookNobodyIsJudged(t *testing.T) {
	g := newGuarded(t)
	cfg := config()
	cfg.User = func(wire.Peer) string { return "whoever" }
	g.b = machine.NewBroker(cfg, &handles{t: t, next: 7, inUse: map[uint64]bool{}, window: 4 << 20})
	g.says(g.say(1, wire.Header{Type: wire.Hello}, "{}"), wire.Welcome)
	g.says(g.say(2, wire.Header{Type: wire.Ready}, readyUpper), wire.Welcome)
	g.says(g.say(1, wire.Header{Type: wire.Admin}, `{"cmd":"status"}`), wire.Report)
	require.Empty(t, g.b.Authorize(book(t), nil), "a broker that has no keys gets none while it runs")
	require.Nil(t, g.b.Status(time.Minute).Access)
}
