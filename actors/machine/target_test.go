package machine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// labelled is a worker with labels.
func (s *theatre) labelled(name string, slots int, labels map[string]string) *peer {
	p := s.peer()
	p.ready(wire.ReadyInfo{Name: name, Services: []string{"echo"}, Slots: slots, Host: "here", PID: 7, Labels: labels})
	p.expect(wire.Welcome)
	return p
}

// aim opens a one-shot with a target.
func (p *peer) aim(ref uint64, target string) {
	p.t.Helper()
	p.openFor(ref, oneShot, 0, "echo", `{"target":{`+target+`}}`, "x")
}

// serve has the worker answer the one-shot that it has got.
func (p *peer) serve() *wire.Message {
	p.t.Helper()
	m := p.expect(wire.Begin)
	p.say(wire.Header{Type: wire.Reply, Flags: wire.Last, Hit: m.Header.Hit, Epoch: m.Header.Epoch, Seq: 1}, "done")
	return m
}

func TestTargetsByName(t *testing.T) {
	quote(t, "`worker`: the worker of this name.")
	s := newTheatre(t, config())
	c, w1, w2 := s.client(), s.worker("w1", 1), s.worker("w2", 4)
	for ref := range uint64(3) {
		c.aim(ref+1, `"worker":"w1"`) // even if it takes longer
	}
	w2.silent()
	for ref := range uint64(3) {
		w1.serve()
		require.Equal(t, ref+1, c.expect(wire.Reply).Header.Hit)
		w1.silentBut(ref == 2)
	}
	require.Zero(t, s.used())
	c.aim(9, `"worker":"w3"`) // waits for it
	c.silent()
	w3 := s.worker("w3", 1)
	w3.serve()
	c.expect(wire.Reply)
}

// silentBut expects nothing where is, and leaves what came alone where not.
func (p *peer) silentBut(is bool) {
	if is {
		p.silent()
	}
}

func TestTargetsByLabel(t *testing.T) {
	quote(t, "workers whose labels a selector matches")
	s := newTheatre(t, config())
	c := s.client()
	a := s.labelled("a", 1, map[string]string{"gpu": "a100", "zone": "x"})
	b := s.labelled("b", 1, map[string]string{"gpu": "h100"})
	s.labelled("c", 8, nil)
	c.aim(1, `"where":"gpu=a100|h100, zone!=y"`)
	c.aim(2, `"where":"zone!=y,gpu=h100|a100"`) // the same one, in other words
	a.serve()
	b.serve()
	c.expect(wire.Reply)
	c.expect(wire.Reply)
	c.aim(3, `"where":"!gpu,worker=a"`)
	c.silent()
	c.aim(4, `"where":"!gpu,worker=a","absent":"fail"`)
	c.expectError(wire.NoMatch, wire.NeverStarted, "echo", "!gpu,worker=a", "correct the target")
	require.Equal(t, 1, s.broker.Inventory().Queued)
	s.tick(31 * time.Second)
	c.expectError(wire.NoMatch, wire.NeverStarted)
	for _, bad := range []string{`"where":"gpu=="`, `"where":"a b"`, `"where":","`, `"where":"!"`} {
		c.aim(5, bad)
		c.expectError(wire.BadFrame, wire.NeverStarted, "selector")
	}
	for _, bad := range []string{``, `"worker":"a","key":"b"`, `"worker":"a","absent":"maybe"`, `"member":"xyz"`} {
		c.aim(5, bad)
		c.expectError(wire.BadFrame, wire.NeverStarted, "OPEN: target")
	}
}

func TestTargetsByKey(t *testing.T) {
	quote(t, "the worker that had a hit\n   with this key last, while it takes hits of the service; else any, by the service's policy.")
	s := newTheatre(t, config())
	c, w1, w2 := s.client(), s.worker("w1", 2), s.worker("w2", 2)
	workers := map[*peer]string{w1: "w1", w2: "w2"}
	first := func() *peer {
		for w := range workers {
			if len(w.inbox) > 0 {
				return w
			}
		}
		require.Fail(t, "nobody has got it")
		return nil
	}
	c.aim(1, `"key":"blue"`)
	had := first()
	had.serve()
	c.expect(wire.Reply)
	for ref := range uint64(3) {
		c.aim(10+ref, `"key":"blue"`) // two slots, one waits
	}
	require.Len(t, had.inbox, 2)
	s.vanishWith(had) // two are lost, the third goes to the other
	delete(workers, had)
	other := first()
	require.Len(t, other.inbox, 1)
	other.serve()
	c.expectError(wire.WorkerGone, wire.Unknown)
	c.expectError(wire.WorkerGone, wire.Unknown)
	c.expect(wire.Reply)
	back := s.worker(workersName(had, w1), 2)
	c.aim(20, `"key":"blue"`) // stays where it went
	other.serve()
	back.silent()
}

func workersName(had, w1 *peer) string {
	if had == w1 {
		return "w1"
	}
	return "w2"
}

// vanishWith loses a worker and lets everybody hear of it.
func (s *theatre) vanishWith(p *peer) {
	p.vanish()
	s.run()
}

// Two hits with one key that find no slot must not be given to two workers when slots become free.
func TestKeysThatWaitStayTogether(t *testing.T) {
	cfg := config()
	cfg.MaxQueue = 10
	s := newTheatre(t, cfg)
	c, w1, w2 := s.client(), s.worker("w1", 1), s.worker("w2", 1)
	c.openFor(1, oneShot, 0, "echo", "", "x")
	c.openFor(2, oneShot, 0, "echo", "", "x")
	c.aim(3, `"key":"blue"`)
	c.aim(4, `"key":"blue"`)
	c.openFor(5, oneShot, 0, "echo", "", "x")
	w1.serve() // 3 begins here
	w2.serve() // 4 does not begin there, 5 does
	w2.serve()
	w2.silent()
	w1.serve()
	w1.serve()
	for range 5 {
		c.expect(wire.Reply)
	}
	require.Zero(t, s.broker.Inventory().Queued)
}

func TestTargetsThatAreLost(t *testing.T) {
	quote(t, "When the last one that may have it leaves or is lost while it waits, it is told so with `fail` and `member`")
	cfg := config()
	cfg.MaxQueue = 10
	s := newTheatre(t, cfg)
	c, w := s.client(), s.worker("w", 1)
	member := s.member(t, "w")
	c.openFor(1, oneShot, 0, "echo", "", "x")
	c.aim(2, `"member":"`+member+`"`)
	c.aim(3, `"worker":"w","absent":"fail"`)
	c.aim(4, `"worker":"w"`)
	w.serve()
	c.expect(wire.Reply)
	w.serve()
	c.expect(wire.Reply)
	w.serve()
	c.expect(wire.Reply)
	c.aim(5, `"member":"`+member+`"`)
	s.vanishWith(w)
	m := c.expectError(wire.WorkerGone, wire.NeverStarted, "worker w", "is lost", "choose another one")
	require.NotEmpty(t, m.Frame(1), "the why-record")
	c.expectError(wire.WorkerGone, wire.Unknown) // that had begun: 4
	w = s.worker("w", 1)
	require.NotEqual(t, member, s.member(t, "w"), "it is another member")
	c.aim(6, `"member":"`+member+`"`)
	c.expectError(wire.NoMatch, wire.NeverStarted, "not there any more")

	c.openFor(7, oneShot, 0, "echo", "", "x")
	c.aim(8, `"worker":"w","absent":"fail"`)
	w.say(wire.Header{Type: wire.Bye})
	c.expectError(wire.Draining, wire.NeverStarted, "worker w", "takes no new hits")
}

func (s *theatre) member(t *testing.T, name string) string {
	t.Helper()
	var r struct {
		Members []struct{ Worker, Member string }
		Error   string
	}
	s.client().admin(`{"cmd":"members","service":"echo","where":"worker=`+name+`"}`, &r)
	require.Empty(t, r.Error)
	require.Len(t, r.Members, 1)
	require.Equal(t, name, r.Members[0].Worker)
	return r.Members[0].Member
}

func TestMembersAreForWhoMayOpen(t *testing.T) {
	quote(t, "may be used by every client that may open hits of the service, whether ADMIN is on or not")
	cfg := config()
	cfg.Admin = false
	s := newTheatre(t, cfg)
	s.labelled("b", 3, map[string]string{"gpu": "yes"})
	s.worker("a", 1)
	c := s.client()
	var r map[string]any
	c.admin(`{"cmd":"members","service":"echo"}`, &r)
	require.Len(t, r["members"], 2)
	require.Equal(t, "a", r["members"].([]any)[0].(map[string]any)["worker"])
	c.admin(`{"cmd":"members","service":"nobody's"}`, &r)
	require.Empty(t, r["members"])
	require.Equal(t, false, r["offered"])
	c.admin(`{"cmd":"members","service":"a b"}`, &r)
	require.Contains(t, r["error"], "service")
	c.admin(`{"cmd":"members","service":"echo","where":"="}`, &r)
	require.Contains(t, r["error"], "where")
}

// Views of selectors are kept for the next hit, but not without bound; the limit of those that wait counts all of them.
func TestManySelectorsAreBounded(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	for i := range 1000 {
		c.aim(1, fmt.Sprintf(`"where":"worker!=%d"`, i))
		w.serve()
		c.expect(wire.Reply)
	}
	require.LessOrEqual(t, s.broker.Services(), 260)
	for i := range 3 {
		c.aim(1, fmt.Sprintf(`"where":"worker=%d"`, i))
	}
	c.aim(1, `"where":"worker=3"`)
	c.expectError(wire.QueueFull, wire.NeverStarted, "3 hits wait")
}

func TestBadLabels(t *testing.T) {
	s := newTheatre(t, config())
	for _, bad := range []map[string]string{{"a b": "x"}, {"worker": "x"}, {"a": "b,c"}, {"": "x"}} {
		p := s.peer()
		p.ready(wire.ReadyInfo{Name: "w", Services: []string{"echo"}, Slots: 1, Labels: bad})
		p.expectError(wire.BadFrame, wire.NeverStarted, "READY: labels")
	}
}
