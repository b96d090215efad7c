package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNewMessageCountsAllBytes(t *testing.T) {
	quote(t, "Counted are all bytes of all frames of all messages to the peer, from WELCOME on, headers included, identity excluded.")
	m := wire.NewMessage(wire.Header{Type: wire.Reply}, []byte("four"), nil, []byte("and six"))
	require.Equal(t, wire.HeaderSize+11, m.Size)
	require.Equal(t, 11, m.BodySize())
	require.Equal(t, []byte("four"), m.Frame(0))
	require.Empty(t, m.Frame(1))
	require.Nil(t, m.Frame(3))
}

func TestCopyOwnsItsBytes(t *testing.T) {
	arena := []byte("onetwo")
	m := wire.NewMessage(wire.Header{Type: wire.Call, Hit: 7}, arena[:3], arena[3:], nil)
	m.From, m.Lease = 9, &lease{}
	c := m.Copy()
	copy(arena, "XXXXXX") // what the bridge does to an arena that is given back
	require.Equal(t, "one", string(c.Frame(0)))
	require.Equal(t, "two", string(c.Frame(1)))
	require.Equal(t, 3, len(c.Body))
	require.Equal(t, m.Header, c.Header)
	require.Equal(t, m.From, c.From)
	require.Equal(t, m.Size, c.Size)
	require.Nil(t, c.Lease, "a copy holds no lease")
	grown := append(c.Body[0], '!')
	require.Equal(t, "one!", string(grown))
	require.Equal(t, "two", string(c.Frame(1)), "appending to a frame must not reach into the next one")
}

func TestCopyAllocatesLittle(t *testing.T) {
	m := wire.NewMessage(wire.Header{Type: wire.Call}, make([]byte, 100), make([]byte, 1000))
	var c *wire.Message
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { c = m.Copy() }), 3.0)
	require.Equal(t, m.BodySize(), c.BodySize())
}

func TestLeaseIsCounted(t *testing.T) {
	l := &lease{}
	m := &wire.Message{Lease: l}
	m.Retain()
	m.Retain()
	m.Release()
	require.Equal(t, 1, l.held)
	owned := wire.NewMessage(wire.Header{})
	owned.Retain() // no lease: nothing to do, nothing to fail
	owned.Release()
}

type lease struct{ held int }

func (l *lease) Retain()  { l.held++ }
func (l *lease) Release() { l.held-- }
