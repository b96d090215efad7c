package schedule_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/actors/schedule"
)

func isWord(s string) bool { return s != "" && !strings.ContainsAny(s, " ,|=!") }

func TestSelectors(t *testing.T) {
	labels := map[string]string{"gpu": "a100", "zone": "b", "big": ""}
	get := func(name string) (string, bool) { v, ok := labels[name]; return v, ok }
	for text, want := range map[string]bool{
		"gpu=a100": true, "gpu=h100|a100": true, "gpu!=h100": true, "gpu!=a100|x": false, "big": true, "!big": false, "!old": true, "old": false, "old!=x": true,
		"gpu=a100,zone=b": true, "gpu=a100,zone=c": false, " gpu = a100 , !old ": true, "old=x": false,
	} {
		s, err := schedule.ParseSelector(text, isWord, isWord)
		require.NoError(t, err, text)
		require.Equal(t, want, s.Match(get), text)
	}
	for _, bad := range []string{"", ",", "a,,b", "=x", "!=x", "a b", "a=b c", "a=b!", "!", "a==b", strings.Repeat("a,", 40) + "b"} {
		if bad[max(len(bad)-1, 0):] == "b" && len(bad) > 20 { // one condition, many times, is one
			continue
		}
		_, err := schedule.ParseSelector(bad, isWord, isWord)
		require.Error(t, err, "%q", bad)
		require.Contains(t, err.Error(), "selector")
	}
}

// Two selectors with the same conditions have the same canonical text, which parses to itself and matches the same.
func TestSelectorsAreCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.Custom(func(t *rapid.T) string {
			label := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "label")
			switch values := rapid.SampledFrom([]string{"x", "y|x", "x|y", "z"}).Draw(t, "values"); rapid.IntRange(0, 3).Draw(t, "form") {
			case 0:
				return label
			case 1:
				return "!" + label
			case 2:
				return label + "=" + values
			default:
				return label + "!=" + values
			}
		})
		parts := rapid.SliceOfN(part, 1, 5).Draw(t, "parts")
		s, err := schedule.ParseSelector(strings.Join(parts, ","), isWord, isWord)
		require.NoError(t, err)
		shuffled := rapid.Permutation(parts).Draw(t, "shuffled")
		other, err := schedule.ParseSelector(strings.Join(shuffled, " , "), isWord, isWord)
		require.NoError(t, err)
		require.Equal(t, s.String(), other.String())
		again, err := schedule.ParseSelector(s.String(), isWord, isWord)
		require.NoError(t, err)
		require.Equal(t, s, again)
		labels := rapid.MapOf(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.SampledFrom([]string{"x", "y", "z"})).Draw(t, "labels")
		get := func(name string) (string, bool) { v, ok := labels[name]; return v, ok }
		all := true
		for _, p := range parts {
			one, err := schedule.ParseSelector(p, isWord, isWord)
			require.NoError(t, err)
			all = all && one.Match(get)
		}
		require.Equal(t, all, s.Match(get))
	})
}

func TestAffinityForgetsWhatWasNotUsedLongest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 4
		a := schedule.NewAffinity[int](most)
		var model []string // least recently used first
		worker := map[string]int{}
		touch := func(k string) {
			for i, x := range model {
				if x == k {
					model = append(model[:i:i], model[i+1:]...)
					break
				}
			}
			model = append(model, k)
		}
		key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, w := key.Draw(t, "key"), rapid.IntRange(1, 9).Draw(t, "worker")
				a.Put(k, w)
				touch(k)
				worker[k] = w
				if len(model) > most {
					delete(worker, model[0])
					model = model[1:]
				}
			},
			"get": func(t *rapid.T) {
				k := key.Draw(t, "key")
				w, ok := a.Get(k)
				want, there := worker[k]
				require.Equal(t, there, ok)
				require.Equal(t, want, w)
				if there {
					touch(k)
				}
			},
			"": func(t *rapid.T) { require.Equal(t, len(model), a.Len()) },
		})
	})
}
