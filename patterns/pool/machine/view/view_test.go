package view_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/pool/machine/view"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// TestMergeInAnyOrder: who has heard the same agrees, in whatever order and however often it was heard.
func TestMergeInAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var said []wire.Section
		for host := range wire.HostID(3) {
			for term := range uint64(3) {
				for version := range uint64(3) {
					m := wire.Member{ID: wire.MemberID(rng.Uint64N(5) + 1), Name: "m"}
					said = append(said, wire.Section{Host: host, Stamp: wire.Stamp{Term: term, Version: version}, Members: []wire.Member{m}})
				}
			}
		}
		var a, b view.View
		for _, v := range []*view.View{&a, &b} {
			rng.Shuffle(len(said), func(i, j int) { said[i], said[j] = said[j], said[i] })
			for _, s := range append(said, said[:5]...) {
				v.Merge(s)
			}
		}
		require.Equal(t, a.State(1), b.State(1))
	}
}

func TestFate(t *testing.T) {
	var v view.View
	v.Merge(wire.Section{
		Host: 1, Name: "h", Stamp: wire.Stamp{Term: 2, Version: 3}, Members: []wire.Member{{ID: 1}, {ID: 2, Verdict: "FROZEN", Why: "silent"}},
		Ended: []wire.Ended{{Member: wire.Member{ID: 3, Why: "it said so"}, How: wire.HowLeft}},
	})
	now := wire.Stamp{Term: 2, Version: 3}
	require.Equal(t, view.Fate{Known: true, Living: true}, v.Fate(1, 1, now))
	require.Equal(t, "FROZEN", v.Fate(1, 2, now).Verdict)
	require.Equal(t, wire.HowLeft, v.Fate(1, 3, now).Verdict)
	require.Equal(t, wire.HowGone, v.Fate(1, 4, now).Verdict, "its master does not know it")
	require.Equal(t, view.Fate{}, v.Fate(1, 4, wire.Stamp{Term: 3}), "the view is older than the question")
	v.Reach(1, wire.Reach{Verdict: "FROZEN", Why: "cut"})
	require.Contains(t, v.Fate(1, 1, now).Why, "beyond reach: cut")
	require.Equal(t, wire.HowGone, v.Fate(9, 1, now).Verdict)
}
