package supervision_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/supervision"
)

// expected is what the model knows of a child.
type expected struct {
	restart  supervision.Restart
	restarts int
	birth    int // tells it from an earlier child of the same ID
}

// model drives a supervisor with random events and says what must be there.
type model struct {
	t        testing.TB
	tree     *supervision.Tree
	system   *actor.ActorSystem
	clock    *clock
	ends     exits
	children map[string]expected
	births   int
	names    map[string]string // every name that was ever seen, and whose it was
}

// TestModel: after any sequence of starts, ends and stops exactly the children
// that the restart types call for are running, and no name comes twice.
func TestModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := &model{
			t: t, system: newSystem(), clock: newClock(), ends: newExits(),
			children: map[string]expected{}, names: map[string]string{},
		}
		m.tree = start(t, m.system, supervision.Spec{
			Clock: m.clock.spec(), OnExit: m.ends.hook,
			Intensity: supervision.Intensity{Restarts: 1000, Window: time.Hour},
		})
		r.Repeat(map[string]func(*rapid.T){
			"start": m.start, "start small": m.startSmall, "end": m.end, "stop": m.stop, "": m.check,
		})
		stop(t, m.tree)
	})
}

var (
	anyID      = rapid.SampledFrom([]string{"a", "b", "a-1", "a-2", "b/c"})
	anyRestart = rapid.SampledFrom([]supervision.Restart{supervision.Permanent, supervision.Transient, supervision.Temporary})
)

func (m *model) start(r *rapid.T) {
	id, restart := anyID.Draw(r, "id"), anyRestart.Draw(r, "restart")
	_, err := m.tree.StartChild(testContext(m.t), child(id, restart))
	m.started(id, restart, err)
}

func (m *model) startSmall(r *rapid.T) {
	id := anyID.Draw(r, "id")
	answer, err := m.system.Root.RequestFuture(m.tree.PID(), &supervision.StartTemporary{ID: id, Actor: obedient()}, patience).Result()
	require.NoError(m.t, err)
	started, ok := answer.(*supervision.Started)
	require.True(m.t, ok)
	m.started(id, supervision.Temporary, started.Err)
}

func (m *model) started(id string, restart supervision.Restart, err error) {
	if _, taken := m.children[id]; taken {
		require.ErrorIs(m.t, err, supervision.ErrDuplicateID)
		return
	}
	require.NoError(m.t, err)
	m.births++
	m.children[id] = expected{restart: restart, birth: m.births}
}

func (m *model) end(r *rapid.T) {
	id := anyID.Draw(r, "id")
	way := rapid.IntRange(0, len(ways)-1).Draw(r, "way")
	x, ok := m.children[id]
	if !ok {
		return
	}
	m.system.Root.Send(find(m.t, m.tree, id).PID, do(ways[way].end))
	again := x.restart == supervision.Permanent || x.restart == supervision.Transient && way >= 3
	require.Equal(m.t, again, receive(m.t, m.ends, "the end").Restarting)
	if !again {
		delete(m.children, id)
		return
	}
	m.clock.ring(m.t)
	x.restarts++
	m.children[id] = x
}

func (m *model) stop(r *rapid.T) {
	id := anyID.Draw(r, "id")
	err := m.tree.StopChild(testContext(m.t), id)
	if _, ok := m.children[id]; !ok {
		require.ErrorIs(m.t, err, supervision.ErrNoChild)
		return
	}
	require.NoError(m.t, err)
	require.Equal(m.t, supervision.Shutdown{}, receive(m.t, m.ends, "the end").Reason)
	delete(m.children, id)
}

func (m *model) check(*rapid.T) {
	var children []supervision.Status
	for settled := false; !settled; {
		children = find(m.t, m.tree).Children
		settled = !slices.ContainsFunc(children, func(st supervision.Status) bool { return st.State != supervision.StateRunning })
	}
	require.Len(m.t, children, len(m.children))
	for _, st := range children {
		x := m.children[st.ID]
		require.Equal(m.t, x, expected{st.Restart, st.Restarts, x.birth}, st.ID)
		key := fmt.Sprint(st.ID, " ", x.birth, " ", x.restarts)
		if seen, ok := m.names[st.PID.Id]; ok {
			require.Equal(m.t, seen, key, "the name %s was used twice", st.PID.Id)
		}
		m.names[st.PID.Id] = key
	}
	require.Empty(m.t, m.ends)
}
