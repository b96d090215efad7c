package restart_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/supervision/restart"
)

// The siblings of x in the grid, in start order: a is a temporary and b a
// permanent child started before x, c is transient and d temporary after it.
var (
	gridNames = []string{"a", "b", "x", "c", "d"}
	gridTypes = []restart.Type{restart.Temporary, restart.Permanent, 0, restart.Transient, restart.Temporary}
)

// TestPlanGrid has a row for each strategy, restart type and kind of end. What
// follows is written down from the descriptions of the strategies and restart
// types in OTP's supervisor manual: one_for_all stops all others, rest_for_one
// those started after, both in reverse start order; a temporary child is never
// started again, not even when a sibling's death has stopped it.
func TestPlanGrid(t *testing.T) {
	grid := []struct {
		strategy    restart.Strategy
		kind        restart.Type
		class       restart.Class
		stop, start string
	}{
		{restart.OneForOne, restart.Permanent, restart.Normal, "", "x"},
		{restart.OneForOne, restart.Permanent, restart.Abnormal, "", "x"},
		{restart.OneForOne, restart.Transient, restart.Normal, "", ""},
		{restart.OneForOne, restart.Transient, restart.Abnormal, "", "x"},
		{restart.OneForOne, restart.Temporary, restart.Normal, "", ""},
		{restart.OneForOne, restart.Temporary, restart.Abnormal, "", ""},
		{restart.AllForOne, restart.Permanent, restart.Normal, "d c b a", "b x c"},
		{restart.AllForOne, restart.Permanent, restart.Abnormal, "d c b a", "b x c"},
		{restart.AllForOne, restart.Transient, restart.Normal, "", ""},
		{restart.AllForOne, restart.Transient, restart.Abnormal, "d c b a", "b x c"},
		{restart.AllForOne, restart.Temporary, restart.Normal, "", ""},
		{restart.AllForOne, restart.Temporary, restart.Abnormal, "", ""},
		{restart.RestForOne, restart.Permanent, restart.Normal, "d c", "x c"},
		{restart.RestForOne, restart.Permanent, restart.Abnormal, "d c", "x c"},
		{restart.RestForOne, restart.Transient, restart.Normal, "", ""},
		{restart.RestForOne, restart.Transient, restart.Abnormal, "d c", "x c"},
		{restart.RestForOne, restart.Temporary, restart.Normal, "", ""},
		{restart.RestForOne, restart.Temporary, restart.Abnormal, "", ""},
	}
	for _, g := range grid {
		t.Run(fmt.Sprintf("%v, %v, %v", g.strategy, g.kind, g.class), func(t *testing.T) {
			children := make([]restart.Child, len(gridTypes))
			for i, kind := range gridTypes {
				children[i].Type = kind
			}
			children[2].Type = g.kind
			p := restart.Make(g.strategy, restart.Never, children, 2, g.class)
			require.Equal(t, g.stop, letters(p.Stop))
			require.Equal(t, g.start, letters(p.Start))
			require.Equal(t, g.start != "", p.Again)
			require.False(t, p.End)
		})
	}
}

func letters(at []int) string {
	names := make([]string, len(at))
	for i, k := range at {
		names[i] = gridNames[k]
	}
	return strings.Join(names, " ")
}

// TestAutoShutdownGrid: the manual's any_significant and all_significant. "One
// of two" has another significant child left.
func TestAutoShutdownGrid(t *testing.T) {
	grid := []struct {
		auto  restart.AutoShutdown
		kind  restart.Type
		class restart.Class
		left  bool // another significant child is left
		end   bool
	}{
		{restart.AnySignificant, restart.Transient, restart.Normal, true, true},
		{restart.AnySignificant, restart.Transient, restart.Normal, false, true},
		{restart.AnySignificant, restart.Transient, restart.Abnormal, true, false},
		{restart.AnySignificant, restart.Transient, restart.Abnormal, false, false},
		{restart.AnySignificant, restart.Temporary, restart.Normal, true, true},
		{restart.AnySignificant, restart.Temporary, restart.Normal, false, true},
		{restart.AnySignificant, restart.Temporary, restart.Abnormal, true, true},
		{restart.AnySignificant, restart.Temporary, restart.Abnormal, false, true},
		{restart.AllSignificant, restart.Transient, restart.Normal, true, false},
		{restart.AllSignificant, restart.Transient, restart.Normal, false, true},
		{restart.AllSignificant, restart.Transient, restart.Abnormal, true, false},
		{restart.AllSignificant, restart.Transient, restart.Abnormal, false, false},
		{restart.AllSignificant, restart.Temporary, restart.Normal, true, false},
		{restart.AllSignificant, restart.Temporary, restart.Normal, false, true},
		{restart.AllSignificant, restart.Temporary, restart.Abnormal, true, false},
		{restart.AllSignificant, restart.Temporary, restart.Abnormal, false, true},
	}
	for _, g := range grid {
		for _, significant := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v, %v, %v, one of two %v, significant %v", g.auto, g.kind, g.class, g.left, significant), func(t *testing.T) {
				children := []restart.Child{
					{Type: restart.Permanent},
					{Type: g.kind, Significant: significant},
					{Type: restart.Temporary, Significant: g.left},
				}
				p := restart.Make(restart.RestForOne, g.auto, children, 1, g.class)
				require.Equal(t, g.end && significant, p.End)
				if p.End {
					require.False(t, p.Again)
					require.Empty(t, p.Stop)
					require.Empty(t, p.Start)
				}
			})
		}
	}
}

// TestPlanModel: whatever the children, a plan is in order, stops nobody who
// is not concerned, and starts nobody who may not be.
func TestPlanModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		children := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) restart.Child {
			return restart.Child{Type: restart.Type(rapid.IntRange(0, 2).Draw(t, "type")), Significant: rapid.Bool().Draw(t, "significant")}
		}), 1, 12).Draw(t, "children")
		s := restart.Strategy(rapid.IntRange(0, 2).Draw(t, "strategy"))
		a := restart.AutoShutdown(rapid.IntRange(0, 2).Draw(t, "auto"))
		i := rapid.IntRange(0, len(children)-1).Draw(t, "ended")
		c := restart.Class(rapid.IntRange(0, 1).Draw(t, "class"))
		p := restart.Make(s, a, children, i, c)

		require.Equal(t, restart.Decide(children[i].Type, c), p.Again)
		require.False(t, p.End && (p.Again || !children[i].Significant || a == restart.Never))
		require.NotContains(t, p.Stop, i)
		require.Equal(t, p.Again, contains(p.Start, i))
		for k, child := range children {
			concerned := p.Again && (s == restart.AllForOne || s == restart.RestForOne && k > i)
			require.Equal(t, concerned && k != i, contains(p.Stop, k))
			require.Equal(t, (concerned && child.Type != restart.Temporary) || p.Again && k == i, contains(p.Start, k))
		}
		require.IsDecreasing(t, append([]int{len(children)}, append(p.Stop, -1)...))
		require.IsIncreasing(t, append([]int{-1}, append(p.Start, len(children))...))
	})
}

func contains(list []int, k int) bool {
	for _, v := range list {
		if v == k {
			return true
		}
	}
	return false
}

func TestUnknownStrategies(t *testing.T) {
	require.False(t, restart.Strategy(3).Valid())
	require.Equal(t, "restart.Strategy(3)", restart.Strategy(3).String())
	require.Equal(t, "rest-for-one", restart.RestForOne.String())
	require.False(t, restart.AutoShutdown(3).Valid())
	require.Equal(t, "restart.AutoShutdown(3)", restart.AutoShutdown(3).String())
	require.Equal(t, "all-significant", restart.AllSignificant.String())
}
