package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	require.Equal(t, 3.0, median([]float64{3}))
	require.Equal(t, 2.0, median([]float64{9, 1, 2}))
	require.Equal(t, 2.5, median([]float64{9, 1, 2, 3}))
}

// twoSided is a result in which the machine was twice as slow in the middle round: the ratio of a round is what counts.
func twoSided(mine, other []float64) results {
	done := results{rounds: len(mine), values: map[string][]values{}, failed: map[string]error{}}
	for i := range mine {
		done.values["a"] = append(done.values["a"], values{"rps": mine[i]})
		done.values["b"] = append(done.values["b"], values{"rps": other[i]})
	}
	return done
}

func aRow(r reach) row {
	return row{name: "speed", unit: perSecond, peer: "other", mine: place{"a", "rps"}, other: place{"b", "rps"}, reach: r}
}

func TestFigureIsTheMedianOfRatios(t *testing.T) {
	done := twoSided([]float64{90, 45, 80}, []float64{100, 50, 100})
	f := aRow(atLeast(0.85)).judge(done)
	require.Equal(t, ok, f.verdict)
	require.Equal(t, 80.0, *f.Value)
	require.Equal(t, 100.0, *f.PeerValue)
	require.Equal(t, 0.9, *f.Ratio)
	require.Equal(t, 3, f.Rounds)
}

func TestVerdicts(t *testing.T) {
	done := twoSided([]float64{90}, []float64{100})
	for want, reaches := range map[string][]reach{
		ok:   {{}, atLeast(0.9), atMost(0.9), below(90)},
		miss: {atLeast(0.91), atMost(0.89), below(89)},
	} {
		for _, r := range reaches {
			require.Equal(t, want, aRow(r).judge(done).verdict, r.String())
		}
	}
}

func TestAbsentPeerIsAFailedFigure(t *testing.T) {
	done := twoSided([]float64{90}, []float64{100})
	done.failed["b"] = errors.New("missing: nats-server is not installed")
	f := aRow(atLeast(0.5)).judge(done)
	require.Equal(t, fail, f.verdict)
	require.Equal(t, "missing: nats-server is not installed", f.Error)
	require.Equal(t, 90.0, *f.Value, "what was measured is shown")
	require.Nil(t, f.Ratio)

	delete(done.failed, "b")
	delete(done.values, "b")
	require.Equal(t, fail, aRow(reach{}).judge(done).verdict, "nothing measured is no success, whatever the reach")
}

func TestEveryRowReadsAnExperiment(t *testing.T) {
	known := map[string]bool{}
	for _, pair := range pairs {
		for _, e := range pair {
			require.False(t, known[e.name], "%s is there twice", e.name)
			known[e.name] = true
		}
	}
	for _, r := range rows {
		require.True(t, known[r.mine.experiment], r.name)
		require.Equal(t, r.peer != "", known[r.other.experiment], r.name)
		delete(known, "")
	}
	require.Len(t, needed(rows), len(pairs), "every experiment is read by a row")
	require.Equal(t, [][]experiment{}, append([][]experiment{}, needed(choose("nothing"))...))
}

func TestOrderTurnsEveryRound(t *testing.T) {
	pair := []experiment{{name: "peer"}, {name: "mine"}}
	require.Equal(t, "peer", inTurn(pair, 0)[0].name)
	require.Equal(t, "mine", inTurn(pair, 1)[0].name)
	require.Equal(t, "peer", inTurn(pair, 2)[0].name)
}

func TestJSONHasOneLinePerFigure(t *testing.T) {
	done := twoSided([]float64{123456.7}, []float64{200000})
	failed := aRow(reach{})
	failed.name, failed.mine.experiment = "gone", "c"
	path := filepath.Join(t.TempDir(), "bench.json")
	require.NoError(t, writeJSON(path, []figure{aRow(reach{}).judge(done), failed.judge(done)}))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	require.Len(t, lines, 2)
	require.Equal(t, `{"name":"speed","value":123500,"unit":"req/s","peer":"other","peer_value":200000,"ratio":0.6173,"rounds":1}`, lines[0])
	var gone map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &gone))
	require.Equal(t, "c was not measured", gone["error"])
	require.NotContains(t, gone, "value")
}

func TestTableNamesEveryReasonOnce(t *testing.T) {
	reason := "missing: nats-server is not installed"
	var b bytes.Buffer
	printTable(&b, []figure{
		{Name: "one", Error: reason, verdict: fail},
		{Name: "two", Error: reason, verdict: fail},
		{Name: "three", Value: new(1234.5), reach: atLeast(0.8), verdict: miss},
	})
	require.Equal(t, 1, strings.Count(b.String(), reason))
	require.Contains(t, b.String(), "failed: one, two: "+reason)
	require.Regexp(t, `three +1234 .*ratio >= 0.8 +MISS`, b.String())
}
