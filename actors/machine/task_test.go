package machine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// taskConfig keeps answers.
func taskConfig() machine.BrokerConfig {
	cfg := config()
	cfg.MaxKeep, cfg.KeepMemory, cfg.MaxTasks = time.Minute, 1000, 5
	return cfg
}

// submit opens a one-shot with an id.
func (p *peer) submit(ref uint64, task string) {
	p.t.Helper()
	p.openFor(ref, oneShot, 0, "echo", `{"label":"tea","task":{`+task+`}}`, "x")
}

type taskPage struct {
	Tasks []machine.TaskRow
	Total int
	More  bool
	Error string
}

func (s *theatre) tasks(t *testing.T, request string) (p taskPage) {
	t.Helper()
	s.client().admin(`{"cmd":"task.list"`+request+`}`, &p)
	return p
}

func TestATaskRunsOnce(t *testing.T) {
	quote(t, "A second OPEN with an id that is known runs nothing: it is answered as the first one is, at once if that is done.")
	s := newTheatre(t, taskConfig())
	c1, c2, w := s.client(), s.client(), s.worker("w", 2)
	c1.submit(7, `"id":"a","keep_ms":5000`)
	c2.submit(9, `"id":"a","keep_ms":5000`)
	m := w.expect(wire.Begin)
	w.silent()
	w.say(wire.Header{Type: wire.Working, Hit: m.Header.Hit, Epoch: m.Header.Epoch, Seq: 1, Arg: 5000}, "half")
	require.EqualValues(t, 7, c1.expect(wire.Working).Header.Hit)
	require.EqualValues(t, 9, c2.expect(wire.Working).Header.Hit)
	row := s.tasks(t, "").Tasks[0]
	require.Equal(t, []any{"a", "echo", "tea", "running", "w", 2}, []any{row.ID, row.Service, row.Label, row.State, row.Worker, row.Askers})
	w.say(wire.Header{Type: wire.Reply, Flags: wire.Last, Hit: m.Header.Hit, Epoch: m.Header.Epoch, Seq: 1}, "done", "well")
	for c, ref := range map[*peer]uint64{c1: 7, c2: 9} {
		got := c.expect(wire.Reply)
		require.Equal(t, wire.Header{Type: wire.Reply, Flags: wire.Ref | wire.Last, Hit: ref, Epoch: got.Header.Epoch, Seq: 1}, headOf(got))
		require.NotZero(t, got.Header.Epoch, "who has done it")
		require.Equal(t, "well", string(got.Frame(1)))
	}
	require.Zero(t, s.used())
	s.tick(4 * time.Second)
	c3 := s.client()
	c3.submit(1, `"id":"a","attach":true`)
	require.Equal(t, "done", string(c3.expect(wire.Reply).Frame(0)))
	s.tick(time.Second)
	c3.submit(2, `"id":"a","attach":true`)
	c3.expectError(wire.UnknownHit, wire.NeverStarted, "task a", "never submitted here")
	w.silent()
	c3.submit(2, `"id":"a"`)
	w.serve()
	c3.expect(wire.Reply)
	require.Zero(t, s.tasks(t, "").Total, "nothing is kept without keep_ms")
}

// A worker that answers twice, or a task that another one has, harms nobody: it is told, and the submitter hears the one answer.
func TestAnswersToTasksThatNobodyAskedFor(t *testing.T) {
	s := newTheatre(t, taskConfig())
	c, w := s.client(), s.worker("w", 1)
	c.submit(7, `"id":"a","keep_ms":5000`)
	m := w.expect(wire.Begin)
	other := s.worker("other", 1)
	answer := wire.Header{Type: wire.Reply, Flags: wire.Last, Hit: m.Header.Hit, Epoch: m.Header.Epoch, Seq: 1}
	other.say(answer, "forged")
	other.expectError(wire.NotOwner, wire.NeverStarted)
	c.silent()
	w.say(answer, "done")
	require.Equal(t, "done", string(c.expect(wire.Reply).Frame(0)))
	w.say(answer, "again")
	w.expectError(wire.UnknownHit, wire.NeverStarted)
	c.silent()
	stranger := answer
	stranger.Hit++
	w.say(stranger, "of nothing")
	w.expectError(wire.UnknownHit, wire.NeverStarted)
	c.submit(8, `"id":"a","attach":true`)
	require.Equal(t, "done", string(c.expect(wire.Reply).Frame(0)), "what is kept is the one answer")
	require.Zero(t, s.used())
	require.Zero(t, s.broker.Status(s.now).Totals.Failed)
}

// headOf is a header without what the wire adds.
func headOf(m *wire.Message) wire.Header { return m.Header }

func TestATaskOutlivesItsSubmitter(t *testing.T) {
	quote(t, "It goes on when who has submitted it is gone, waits for a slot as long, and its answer is kept")
	s := newTheatre(t, taskConfig())
	c, w := s.client(), s.worker("w", 1)
	c.submit(1, `"id":"a","keep_ms":60000`)
	c.submit(2, `"id":"b","keep_ms":60000`)
	require.Equal(t, "queued", s.tasks(t, `,"task":"b"`).Tasks[0].State)
	c.vanish()
	s.run()
	w.serve()
	w.serve()
	c = s.client()
	c.submit(1, `"id":"a","attach":true`)
	c.submit(2, `"id":"b"`)
	require.EqualValues(t, 1, c.expect(wire.Reply).Header.Hit)
	require.EqualValues(t, 2, c.expect(wire.Reply).Header.Hit)
	w.silent()
	require.Len(t, s.tasks(t, `,"state":"done"`).Tasks, 2)
	require.Len(t, s.tasks(t, `,"limit":1`).Tasks, 1)
	require.True(t, s.tasks(t, `,"limit":1`).More)
	require.Equal(t, "a", s.tasks(t, `,"after":"2"`).Tasks[0].ID)
}

func TestTasksThatFail(t *testing.T) {
	s := newTheatre(t, taskConfig())
	c, w := s.client(), s.worker("w", 1)
	c.submit(1, `"id":"lost","keep_ms":60000`)
	c.submit(2, `"id":"late","keep_ms":60000`)
	w.expect(wire.Begin)
	s.vanishWith(w)
	m := c.expectError(wire.WorkerGone, wire.Unknown, "worker w")
	require.NotEmpty(t, m.Frame(1))
	s.tick(30 * time.Second)
	c.expectError(wire.Expired, wire.NeverStarted)
	c.submit(3, `"id":"lost","attach":true`)
	m = c.expectError(wire.WorkerGone, wire.Unknown, "worker w")
	require.NotEmpty(t, m.Frame(1))
	require.Equal(t, "failed", s.tasks(t, `,"task":"late"`).Tasks[0].State)

	w = s.worker("w", 1)
	c.submit(3, `"id":"late","keep_ms":60000`)
	c.expectError(wire.Expired, wire.NeverStarted)
	c.submit(3, `"id":"late","keep_ms":60000,"again":true`)
	w.serve()
	c.expect(wire.Reply)
	c.submit(3, `"id":"late","again":true`)
	c.expect(wire.Reply)
	w.silent()

	c.submit(4, `"id":"`+strings.Repeat("x", 129)+`"`)
	c.expectError(wire.BadFrame, wire.NeverStarted, "task", "id")
	c.submit(4, `"id":"a","keep_ms":-1`)
	c.expectError(wire.BadFrame, wire.NeverStarted, "keep_ms")
	c.openFor(4, 0, 0, "echo", `{"task":{"id":"a"}}`)
	c.expectError(wire.BadFlag, wire.NeverStarted, "one call")
	c.openFor(4, oneShot, 0, "other", `{"task":{"id":"lost"}}`, "x")
	c.expectError(wire.BadKey, wire.NeverStarted, "service")
	c.open(5)
	c.openFor(4, oneShot|wire.Now, 0, "echo", `{"task":{"id":"now"}}`, "x")
	c.expectError(wire.QueueFull, wire.NeverStarted)
	require.Empty(t, s.tasks(t, `,"task":"now"`).Tasks, "what was refused is not known")
	require.NotEmpty(t, s.tasks(t, `,"state":"odd"`).Error)
}

func TestTasksAreCancelled(t *testing.T) {
	quote(t, "CANCEL with the reference of any of its askers cancels it for all of them")
	s := newTheatre(t, taskConfig())
	c, other, w := s.client(), s.client(), s.worker("w", 1)
	c.submit(1, `"id":"runs"`)
	c.submit(2, `"id":"waits"`)
	other.submit(1, `"id":"runs","attach":true`)
	m := w.expect(wire.Begin)
	other.say(wire.Header{Type: wire.Cancel, Flags: wire.Ref, Hit: 1})
	w.expect(wire.Cancel)
	c.say(wire.Header{Type: wire.Cancel, Flags: wire.Ref, Hit: 2})
	c.expectError(wire.Cancelled, wire.NeverStarted, "while it waited")
	w.say(wire.Header{Type: wire.Error, Flags: wire.Last, Status: wire.Cancelled, Hit: m.Header.Hit, Epoch: m.Header.Epoch, Seq: 1, Arg: 2}, "stopped, as asked: ask again")
	c.expectError(wire.Cancelled, wire.Unknown, "stopped")
	other.expectError(wire.Cancelled, wire.Unknown, "stopped")

	c.submit(3, `"id":"again"`)
	w.expect(wire.Begin)
	var r map[string]any
	other.admin(`{"cmd":"task.cancel","task":"again"}`, &r)
	require.EqualValues(t, 1, r["tasks"])
	w.expect(wire.Cancel)
	other.admin(`{"cmd":"task.cancel","task":"nobody"}`, &r)
	require.Contains(t, r["error"], "troupe task list")
}

// What is kept is bounded: the answer that would be forgotten first makes room, and one that is too large for all the memory is said to be lost.
func TestKeptAnswersAreBounded(t *testing.T) {
	s := newTheatre(t, taskConfig())
	c, w := s.client(), s.worker("w", 1)
	answer := func(id string, n int) {
		c.submit(1, `"id":"`+id+`","keep_ms":60000`)
		m := w.expect(wire.Begin)
		w.say(wire.Header{Type: wire.Reply, Flags: wire.Last, Hit: m.Header.Hit, Epoch: m.Header.Epoch, Seq: 1}, strings.Repeat("x", n))
		require.Len(t, c.expect(wire.Reply).Frame(0), n)
		s.tick(time.Second)
	}
	answer("a", 400)
	answer("b", 400)
	answer("c", 400)
	c.submit(1, `"id":"a","attach":true`)
	c.expectError(wire.UnknownHit, wire.NeverStarted)
	c.submit(1, `"id":"b","attach":true`)
	c.expect(wire.Reply)
	answer("large", 5000)
	c.submit(1, `"id":"large","attach":true`)
	c.expectError(wire.LostReply, wire.ReplyLost, "too", "--keep-memory")
	for i := range 10 { // as many as there may be, the oldest is forgotten
		answer(fmt.Sprint("n", i), 1)
	}
	require.Equal(t, 5, s.tasks(t, "").Total)
	s.tick(2 * time.Minute)
	require.Zero(t, s.tasks(t, "").Total)
}
