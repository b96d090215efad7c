package machine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func seqs(items []Item) (all []uint64) {
	for _, i := range items {
		all = append(all, i.Seq)
	}
	return all
}

func TestGapIsToldBySkip(t *testing.T) {
	var f Flow
	f.Stands(0, 5)
	require.Empty(t, f.Live(0, Item{Seq: 5, Body: "late"}).Deliver, "before it was known")
	require.Equal(t, []Item{{Seq: 6, Body: "six"}}, f.Live(0, Item{Seq: 6, Body: "six"}).Deliver)
	require.Equal(t, []Item{{Seq: 9, Missed: 2, Body: "nine"}}, f.Live(0, Item{Seq: 9, Body: "nine"}).Deliver)
}

func TestCatchUpDeliversInOrder(t *testing.T) {
	f := Flow{Policy: CatchUp, Patience: time.Second, MaxHeld: 10}
	f.Stands(0, 0)
	require.Equal(t, []uint64{1}, seqs(f.Live(0, Item{Seq: 1, Body: 1}).Deliver))
	r := f.Live(0, Item{Seq: 4, Body: 4})
	require.Equal(t, &Ask{2, 3}, r.Ask)
	require.Empty(t, r.Deliver)
	require.Empty(t, f.Live(0, Item{Seq: 5, Body: 5}).Deliver)
	require.Equal(t, []uint64{2}, seqs(f.Past(0, Item{Seq: 2, Body: 2}).Deliver))
	r = f.Past(0, Item{Seq: 3, Body: 3})
	require.Equal(t, []Item{{Seq: 3, Body: 3}, {Seq: 4, Body: 4}, {Seq: 5, Body: 5}}, r.Deliver)
	require.Nil(t, r.Ask)
}

func TestWhatTheHistoryHasLostIsMissed(t *testing.T) {
	f := Flow{Policy: CatchUp, Patience: time.Second, MaxHeld: 10}
	f.Stands(0, 0)
	f.Live(0, Item{Seq: 5, Body: 5})
	require.Equal(t, []Item{{Seq: 4, Missed: 3, Body: 4}, {Seq: 5, Body: 5}}, f.Past(0, Item{Seq: 4, Body: 4}).Deliver)
	f.Live(0, Item{Seq: 8, Body: 8})
	require.Empty(t, f.Tick(time.Second-1).Deliver)
	require.Equal(t, []Item{{Seq: 8, Missed: 2, Body: 8}}, f.Tick(time.Second).Deliver, "no answer")
}

func TestAReconnectedSubscriberAsksForWhatItMissed(t *testing.T) {
	f := Flow{Policy: CatchUp, Patience: time.Second, MaxHeld: 10}
	f.Stands(0, 2)
	require.Equal(t, &Ask{3, 4}, f.Stands(0, 4).Ask)
	require.Equal(t, []uint64{3}, seqs(f.Past(0, Item{Seq: 3, Body: 3}).Deliver))
	require.Equal(t, []uint64{4}, seqs(f.Past(0, Item{Seq: 4, Body: 4}).Deliver))
	require.Equal(t, []Item{{Seq: 5, Body: 5}}, f.Live(0, Item{Seq: 5, Body: 5}).Deliver)
}

// Whatever is lost on the way and whatever the history still has: order holds, nothing comes twice, and delivered and missed add up.
func TestEveryUpdateIsDeliveredOrMissed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Flow{Policy: Policy(rapid.IntRange(0, 1).Draw(t, "policy")), Patience: 10, MaxHeld: rapid.IntRange(1, 8).Draw(t, "held")}
		book := Book{Max: 1, Keep: rapid.IntRange(0, 6).Draw(t, "kept")}
		f.Stands(0, 0)
		now, last, sum := time.Duration(0), uint64(0), uint64(0)
		var asks []Ask
		take := func(r Result) {
			for _, i := range r.Deliver {
				require.Greater(t, i.Seq, last)
				require.Equal(t, i.Seq, last+i.Missed+1)
				require.Equal(t, i.Seq, i.Body)
				last, sum = i.Seq, sum+1+i.Missed
			}
			if r.Ask != nil {
				asks = append(asks, *r.Ask)
			}
		}
		publish := func(lost bool) {
			topic := book.Next("t")
			book.Record(topic, [][]byte{{byte(topic.Seq)}})
			if !lost {
				take(f.Live(now, Item{Seq: topic.Seq, Body: topic.Seq}))
			}
		}
		answer := func() {
			ask := asks[0]
			asks = asks[1:]
			if topic := book.Find("t"); topic != nil {
				topic.Range(ask.From, ask.To, func(k Kept) {
					require.Equal(t, []byte{byte(k.Seq)}, k.Body[0])
					take(f.Past(now, Item{Seq: k.Seq, Body: k.Seq}))
				})
			}
			if _, asking := f.Asking(); asking {
				take(f.Over(now))
			}
		}
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			switch step := rapid.IntRange(0, 9).Draw(t, "step"); {
			case step < 6:
				publish(step < 2)
			case step < 9 && len(asks) > 0:
				answer()
			default:
				now += 6
				take(f.Tick(now))
			}
		}
		for range 50 {
			publish(false)
			now += 11
			take(f.Tick(now))
		}
		now += 100
		take(f.Tick(now))
		require.Equal(t, book.Find("t").Seq, sum)
	})
}

func TestBookIsBounded(t *testing.T) {
	b := Book{Max: 2, Keep: 2}
	for _, name := range []string{"w1", "w10", "w1", "w1"} {
		b.Record(b.Next(name), [][]byte{[]byte(name)})
	}
	require.Nil(t, b.Next("third"))
	var names []string
	b.Matching("w1\x00", func(t *Topic) { names = append(names, t.Name) })
	require.Equal(t, []string{"w1"}, names, "its terminator keeps w10 out")
	b.Matching("w1", func(t *Topic) { names = append(names, t.Name) })
	require.Len(t, names, 3)
	kept, ok := b.Find("w1").Value()
	require.True(t, ok)
	require.EqualValues(t, 3, kept.Seq)
	var seen []uint64
	b.Find("w1").Range(1, 9, func(k Kept) { seen = append(seen, k.Seq) })
	require.Equal(t, []uint64{2, 3}, seen)
}
