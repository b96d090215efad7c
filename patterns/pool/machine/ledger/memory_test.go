package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/pool/machine/ledger"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

func TestMemoryAnswersAgain(t *testing.T) {
	m := ledger.Memory{MaxBytes: 100, MaxKnown: 10}
	q := wire.QuestionID{Asker: 1, Seq: 1}
	require.True(t, m.Begin(q))
	require.False(t, m.Begin(q), "it is known")
	one, ok := m.Add(q, []byte("one"))
	require.True(t, ok)
	require.Equal(t, ledger.Piece{Part: 0, Body: []byte("one")}, one)
	two, ok := m.Finish(q, []byte("two"))
	require.True(t, ok)
	require.Equal(t, ledger.Piece{Part: 1, Flags: wire.Last, Body: []byte("two")}, two)
	require.Equal(t, []ledger.Piece{one, two}, m.Replay(q, 0))
	require.Equal(t, []ledger.Piece{two}, m.Replay(q, 1))
	require.Equal(t, []ledger.Piece{{Part: 2, Flags: wire.Last}}, m.Replay(q, 2))
	require.False(t, m.Close(q), "nothing runs")
	require.Zero(t, m.Bytes())
	require.Nil(t, m.Replay(q, 0))
	require.False(t, m.Begin(q), "it is known for long")
}

func TestMemoryIsBounded(t *testing.T) {
	m := ledger.Memory{MaxBytes: 10, MaxKnown: 3}
	q := func(i int) wire.QuestionID { return wire.QuestionID{Asker: 1, Seq: uint64(i)} }
	for i := range 3 {
		m.Begin(q(i))
		m.Finish(q(i), []byte("123456"))
	}
	require.LessOrEqual(t, m.Bytes(), 10)
	first := m.Replay(q(0), 0)
	require.Len(t, first, 1)
	require.Equal(t, wire.Failed, first[0].Flags, "it says that the answer is kept no more")
	require.Len(t, m.Replay(q(2), 0), 1)
	require.False(t, m.Close(wire.QuestionID{Asker: 9}), "one that comes after its end is never begun")
	require.False(t, m.Begin(wire.QuestionID{Asker: 9}))
}
