package machine

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The queue is a list from which anybody may leave; it keeps no more places of those that have left than others wait, or 64.
func TestQueueIsAListToLeave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var model []*waiter
		next := uint64(0)
		all := func() (got []*waiter) {
			q.each(func(w *waiter) { got = append(got, w) })
			return got
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					next++
					w := &waiter{order: next}
					q.push(w)
					model = append(model, w)
				}
			},
			"take": func(t *rapid.T) {
				for range rapid.IntRange(1, 30).Draw(t, "n") {
					w := q.peek()
					if len(model) == 0 {
						require.Nil(t, w)
						return
					}
					require.Same(t, model[0], w)
					q.remove(w)
					q.remove(w) // twice does nothing
					model = model[1:]
				}
			},
			"leave": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip("nobody waits")
				}
				i := rapid.IntRange(0, len(model)-1).Draw(t, "who")
				q.remove(model[i])
				model = append(model[:i:i], model[i+1:]...)
			},
			"leave all but": func(t *rapid.T) {
				every := rapid.IntRange(1, 9).Draw(t, "every")
				var stay []*waiter
				i := 0
				q.each(func(w *waiter) {
					require.Same(t, model[i], w, "each sees them all, though they leave meanwhile")
					if i%every == 0 {
						stay = append(stay, w)
					} else {
						q.remove(w)
					}
					i++
				})
				model = stay
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), q.n)
				require.Equal(t, append([]*waiter{}, model...), append([]*waiter{}, all()...), "in order")
				require.Less(t, len(q.items)-q.n, max(64, q.n+1), "places of those that have left")
			},
		})
	})
}

// A hit is in three lists at once, and leaves each by itself.
func TestHitsAreInThreeLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists := [3]*hits{{which: ofClient}, {which: ofWorker}, {which: ofAll}}
		var model [3][]*Hit
		t.Repeat(map[string]func(*rapid.T){
			"add": func(*rapid.T) {
				h := &Hit{}
				for i, l := range lists {
					l.add(h)
					model[i] = append(model[i], h)
				}
			},
			"remove": func(t *rapid.T) {
				k := rapid.IntRange(0, 2).Draw(t, "list")
				if len(model[k]) == 0 {
					t.Skip("empty")
				}
				i := rapid.IntRange(0, len(model[k])-1).Draw(t, "which")
				lists[k].remove(model[k][i])
				model[k] = append(model[k][:i:i], model[k][i+1:]...)
			},
			"remove within each": func(t *rapid.T) {
				k := rapid.IntRange(0, 2).Draw(t, "list")
				lists[k].each(lists[k].remove)
				model[k] = nil
			},
			"": func(t *rapid.T) {
				for k, l := range lists {
					var got, back []*Hit
					l.each(func(h *Hit) { got = append(got, h) })
					for h := l.last; h != nil; h = h.links[k].prev {
						back = append([]*Hit{h}, back...)
					}
					require.Equal(t, len(model[k]), l.n)
					for i, h := range model[k] {
						require.Same(t, h, got[i])
						require.Same(t, h, back[i])
					}
					require.Len(t, back, len(got))
				}
			},
		})
	})
}
