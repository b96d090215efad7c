package supervision_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/supervision"
)

// sapling is what the model knows of one supervisor, or of one child.
type sapling struct {
	id          string
	restart     supervision.Restart
	significant bool
	life        int // which of its lives: each start is another one

	supervisor bool
	strategy   supervision.Strategy
	auto       supervision.AutoShutdown
	children   []*sapling // those alive
	seeds      []*sapling // those of the spec, to begin a life with
}

// forest drives a whole tree with random ends and says what must be there.
type forest struct {
	t      testing.TB
	tree   *supervision.Tree
	system *actor.ActorSystem
	root   *sapling
	ends   chan string // what the supervisors told
	want   []string    // what they had to tell
	lives  int
	seen   map[string]int // PID to life
}

// TestTreeModel grows a random tree of two levels, ends random children in all
// ways, and compares the whole tree after each: who is there, in which order,
// who was started anew and who was left alone, and what was told of whom. The
// seed of a failure is printed; -rapid.seed repeats it.
func TestTreeModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := &forest{t: t, system: newSystem(), ends: make(chan string, 10_000), seen: map[string]int{}}
		f.root = f.draw(r, "root", 0)
		f.live(f.root)
		f.tree = start(t, f.system, f.spec(f.root))
		f.compare()
		for range rapid.IntRange(1, 12).Draw(r, "events") {
			if !f.endOne(r) {
				break
			}
			f.compare()
		}
		require.NoError(t, f.tree.Stop(testContext(t)))
	})
}

// draw makes up a supervisor.
func (f *forest) draw(r *rapid.T, id string, depth int) *sapling {
	s := &sapling{
		id: id, supervisor: true, restart: anyRestart.Draw(r, id+" restart"),
		strategy: supervision.Strategy(rapid.IntRange(0, 2).Draw(r, id+" strategy")),
	}
	if depth > 0 { // else the whole test may end with its first event
		s.auto = supervision.AutoShutdown(rapid.IntRange(0, 2).Draw(r, id+" auto"))
	}
	for i := range rapid.IntRange(1, 4).Draw(r, id+" children") {
		name := fmt.Sprint(id, ".", i)
		if depth == 0 && rapid.Bool().Draw(r, name+" nested") {
			s.seeds = append(s.seeds, f.draw(r, name, depth+1))
			continue
		}
		c := &sapling{id: name, restart: anyRestart.Draw(r, name+" restart")}
		c.significant = s.auto != supervision.Never && c.restart != supervision.Permanent && rapid.Bool().Draw(r, name+" significant")
		s.seeds = append(s.seeds, c)
	}
	return s
}

// spec makes the real thing.
func (f *forest) spec(s *sapling) supervision.Spec {
	spec := supervision.Spec{
		Name: s.id, Strategy: s.strategy, AutoShutdown: s.auto, Backoff: supervision.Backoff{Min: 1, Max: 1},
		Intensity: supervision.Intensity{Restarts: 1000, Window: time.Hour},
		OnExit:    func(e supervision.Exited) { f.ends <- fmt.Sprint(e.ID, " ", e.Restarting) },
	}
	for _, c := range s.seeds {
		child := supervision.ChildSpec{ID: c.id, Start: obedient}
		if c.supervisor {
			child = supervision.Supervisor(c.id, f.spec(c))
		}
		child.Restart, child.Significant = c.restart, c.significant
		spec.Children = append(spec.Children, child)
	}
	return spec
}

// live begins a life of s, and of all below.
func (f *forest) live(s *sapling) {
	f.lives++
	s.life = f.lives
	s.children = slices.Clone(s.seeds)
	for _, c := range s.children {
		f.live(c)
	}
}

// endOne ends one child that is no supervisor; false: none is left.
func (f *forest) endOne(r *rapid.T) bool {
	var leaves [][]*sapling // from the root on
	var walk func(path []*sapling)
	walk = func(path []*sapling) {
		for _, c := range path[len(path)-1].children {
			below := append(slices.Clone(path), c)
			if c.supervisor {
				walk(below)
			} else {
				leaves = append(leaves, below)
			}
		}
	}
	walk([]*sapling{f.root})
	if len(leaves) == 0 {
		return false
	}
	path := rapid.SampledFrom(leaves).Draw(r, "ends")
	way := rapid.IntRange(0, len(ways)-1).Draw(r, "way")
	var ids []string
	for _, s := range path[1:] {
		ids = append(ids, s.id)
	}
	f.system.Root.Send(find(f.t, f.tree, ids...).PID, do(ways[way].end))
	f.ended(path, way >= 3)
	return true
}

// ended says what has to follow from the end of the last of path, in the words
// of OTP's manual.
func (f *forest) ended(path []*sapling, abnormal bool) {
	parent, c := path[len(path)-2], path[len(path)-1]
	at := slices.Index(parent.children, c)
	if c.restart == supervision.Permanent || c.restart == supervision.Transient && abnormal {
		f.want = append(f.want, c.id+" true")
		f.live(c)
		first, last := at, at+1 // whom it concerns
		switch parent.strategy {
		case supervision.AllForOne:
			first, last = 0, len(parent.children)
		case supervision.RestForOne:
			last = len(parent.children)
		default: // the child itself
		}
		var left []*sapling
		for i, sibling := range parent.children {
			switch {
			case sibling == c || i < first || i >= last:
				left = append(left, sibling)
			case sibling.restart == supervision.Temporary:
				f.stopped(sibling, false)
			default:
				f.stopped(sibling, true)
				f.live(sibling)
				left = append(left, sibling)
			}
		}
		parent.children = left
		return
	}
	f.want = append(f.want, c.id+" false")
	parent.children = slices.Delete(slices.Clone(parent.children), at, at+1)
	others := slices.ContainsFunc(parent.children, func(s *sapling) bool { return s.significant })
	if c.significant && (parent.auto == supervision.AnySignificant || !others) {
		for _, s := range parent.children {
			f.stopped(s, false)
		}
		f.ended(path[:len(path)-1], false)
	}
}

// stopped says what is told when a supervisor stops s.
func (f *forest) stopped(s *sapling, again bool) {
	for _, c := range s.children {
		f.stopped(c, false)
	}
	f.want = append(f.want, fmt.Sprint(s.id, " ", again))
}

// compare waits until the tree is as it has to be.
func (f *forest) compare() {
	want := f.shape(f.root)
	var got string
	for deadline := time.Now().Add(patience); ; {
		st, err := f.tree.List(testContext(f.t))
		require.NoError(f.t, err)
		if got = f.picture(st); got == want {
			f.note(f.root, st)
			break
		}
		if time.Now().After(deadline) {
			require.Equal(f.t, want, got)
		}
	}
	var told []string
	for range f.want {
		told = append(told, receive(f.t, f.ends, "an end"))
	}
	require.Empty(f.t, f.ends)
	require.ElementsMatch(f.t, f.want, told)
	f.want = nil
}

// shape draws the tree that has to be, with whether each life has been seen before.
func (f *forest) shape(s *sapling) string {
	var b strings.Builder
	for _, c := range s.children {
		old := false
		for _, life := range f.seen {
			old = old || life == c.life
		}
		fmt.Fprintf(&b, "%s(%v, %v)[%s] ", c.id, supervision.StateRunning, old, f.shape(c))
	}
	return b.String()
}

// picture draws the tree that is.
func (f *forest) picture(st supervision.Status) string {
	var b strings.Builder
	for _, c := range st.Children {
		old := false
		if c.PID != nil {
			_, old = f.seen[c.PID.Id]
		}
		fmt.Fprintf(&b, "%s(%v, %v)[%s] ", c.ID, c.State, old, f.picture(c))
	}
	return b.String()
}

// note remembers whose life each PID is: no PID may be in two.
func (f *forest) note(s *sapling, st supervision.Status) {
	for i, c := range st.Children {
		life, known := f.seen[c.PID.Id]
		if known {
			require.Equal(f.t, s.children[i].life, life, "the life of %s", c.PID.Id)
		}
		f.seen[c.PID.Id] = s.children[i].life
		f.note(s.children[i], c)
	}
}
