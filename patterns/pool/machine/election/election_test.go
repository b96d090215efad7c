package election_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/pool/machine/election"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

func TestElection(t *testing.T) {
	other := wire.Record{ID: 2}
	e := election.Machine{Me: 1}
	require.Equal(t, []election.Effect{{Kind: election.Scan}}, e.Start())
	require.Equal(t, []election.Effect{{Kind: election.Claim, Term: 5}}, e.Scanned(election.Seen{Term: 4}), "a lock that nobody holds, as after a power loss")
	require.Equal(t, []election.Effect{{Kind: election.Scan}}, e.Claimed(5, false), "another one was first")
	require.Equal(t, []election.Effect{{Kind: election.Follow, Term: 5, Master: other}}, e.Scanned(election.Seen{Term: 5, Held: true, Master: other}))
	require.Nil(t, e.Ended(4), "that is long known")
	require.Nil(t, e.Heard(5))
	require.Equal(t, []election.Effect{{Kind: election.Scan}}, e.Heard(6), "there is a later master")
	require.Equal(t, []election.Effect{{Kind: election.Scan}}, e.Ended(5))
	require.Equal(t, []election.Effect{{Kind: election.Claim, Term: 6}}, e.Scanned(election.Seen{}), "numbers do not go back, even if the directory was emptied")
	require.Equal(t, []election.Effect{{Kind: election.Lead, Term: 6}}, e.Claimed(6, true))
	require.Equal(t, election.Leading, e.State())
	require.Nil(t, e.Scanned(election.Seen{Term: 6, Held: true}))
	require.Equal(t, []election.Effect{{Kind: election.Resign, Term: 6}, {Kind: election.Follow, Term: 7, Master: other}}, e.Scanned(election.Seen{Term: 7, Held: true, Master: other}))
	require.Nil(t, e.Leave())
	require.Equal(t, []election.Effect{{Kind: election.Resign, Term: 8}}, e.Claimed(8, true), "it is given back")
}

func TestGuestsAreNotElected(t *testing.T) {
	e := election.Machine{Me: 1, Guest: true}
	e.Start()
	require.Nil(t, e.Scanned(election.Seen{Term: 4}))
	require.Equal(t, election.Seeking, e.State())
}
