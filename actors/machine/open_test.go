package machine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/schedule"
	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestOpenGoesToTheLeastBusyWorker(t *testing.T) {
	quote(t, "The broker chooses the least busy worker of the service")
	s := newTheatre(t, config())
	c, small, big := s.client(), s.worker("small", 2), s.worker("big", 4)
	for i, who := range []*peer{small, big, big, small, big, big} { // shares: 1/2 and 1/4, then 1/2 and 2/4, then in turn
		c.open(uint64(i + 1))
		require.Len(t, who.inbox, 1, "open %d", i+1)
		who.expect(wire.Begin)
	}
	c.silent()
}

func TestOpenGoesToWhomThePolicyChooses(t *testing.T) {
	quote(t, "or by another policy that it has been given for it")
	cfg := config()
	cfg.Policy = func(service string) schedule.Name {
		require.Equal(t, "echo", service)
		return schedule.RoundRobin
	}
	s := newTheatre(t, cfg)
	c, small, big := s.client(), s.worker("small", 2), s.worker("big", 4)
	for i, who := range []*peer{small, big, small, big, big, big} { // in turn, until the small one is full
		c.open(uint64(i + 1))
		require.Len(t, who.inbox, 1, "open %d", i+1)
		who.expect(wire.Begin)
	}
	c.silent()
}

// The label weight is a worker's share under the policy weighted, and may change while it runs; what is no weight is none.
func TestAWorkersWeightIsItsLabel(t *testing.T) {
	cfg := config()
	cfg.Policy = func(string) schedule.Name { return schedule.Weighted }
	s := newTheatre(t, cfg)
	c := s.client()
	light, heavy := s.labelled("light", 100, map[string]string{"weight": "1"}), s.labelled("heavy", 100, map[string]string{"weight": "3"})
	given := func() (l, h int) {
		for i := range 40 {
			c.open(uint64(i + 1))
		}
		l, h = len(light.inbox), len(heavy.inbox)
		for range l {
			light.expect(wire.Begin)
		}
		for range h {
			heavy.expect(wire.Begin)
		}
		return l, h
	}
	l, h := given()
	require.Equal(t, [2]int{10, 30}, [2]int{l, h})
	light.changed(`{"slots":100,"labels":{"weight":"3"}}`)
	heavy.changed(`{"slots":100,"labels":{"weight":"much"}}`) // as many as it has slots
	l, h = given()
	require.Less(t, l, 5)
	require.Equal(t, 40, l+h)
}

func TestBeginIsTheOpen(t *testing.T) {
	quote(t, "the broker passes the frames of OPEN on, under its own header")
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 4)
	c.openFor(9, wire.First, 1500, "echo", `{"session":{"x":1}}`, "body", "", "more")
	m := w.expect(wire.Begin)
	require.Equal(t, []string{"echo", `{"session":{"x":1}}`, "body", "", "more"}, text(m.Body))
	require.Equal(t, wire.Header{Type: wire.Begin, Flags: wire.First, Hit: m.Header.Hit, Epoch: 101, Seq: 1, Arg: 1500}, m.Header)

	w.say(wire.Header{Type: wire.Opened, Hit: m.Header.Hit, Epoch: 101, Arg: 4712})
	o := c.expect(wire.Opened)
	quote(t, "OPENED at the client carries the handle, which names the hit from then on.")
	require.Equal(t, wire.Header{Type: wire.Opened, Flags: wire.Ref, Hit: 9, Epoch: 1, Arg: 4712}, o.Header)
	require.Equal(t, fmt.Sprintf("%016x", m.Header.Hit), fmt.Sprintf("%x", o.Frame(0)))
	require.Equal(t, "w", string(o.Frame(1)))

	c.open(10)
	second := w.expect(wire.Begin)
	quote(t, "A handle is never issued twice")
	require.NotEqual(t, m.Header.Hit, second.Header.Hit)
	require.Equal(t, uint32(102), second.Header.Epoch, "each assignment has an epoch of its own")
	require.Zero(t, second.Header.Seq, "no first call")
}

func text(frames [][]byte) []string {
	var all []string
	for _, f := range frames {
		all = append(all, string(f))
	}
	return all
}

func TestTheEpochIsNeverZero(t *testing.T) {
	cfg := config()
	cfg.Epoch = 1<<32 - 1
	s := newTheatre(t, cfg)
	c, w := s.client(), s.worker("w", 1)
	require.Equal(t, uint32(1), s.begun(c, w, 1, 0).epoch)
}

func TestOpensWaitInOrder(t *testing.T) {
	quote(t, "When all slots are busy the OPEN waits, in order, until its deadline (`expired`), in a queue of bounded length (`queue-full`).")
	s := newTheatre(t, config())
	a, b, w := s.client(), s.client(), s.worker("w", 1)
	first := s.opened(a, w, 1, 0)
	a.open(2)
	b.open(1)
	a.open(3)
	w.silent()

	first.client(wire.Header{Type: wire.Close})
	w.expect(wire.End)
	w.silent() // the slot is not free yet
	first.worker(wire.Header{Type: wire.Ended})
	for _, who := range []struct {
		c   *peer
		ref uint64
	}{{a, 2}, {b, 1}, {a, 3}} {
		m := w.expect(wire.Begin)
		h := &session{who.c, w, m.Header.Hit, m.Header.Epoch, who.ref}
		w.silent()
		h.worker(wire.Header{Type: wire.Ended, Status: wire.ServiceError})
		for who.c.inbox[0].Header.Type == wire.Closed {
			who.c.next()
		}
		require.Equal(t, who.ref, who.c.expect(wire.Error).Header.Hit)
	}
}

func TestAFullQueueNamesLengthAndLimit(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 2)
	for ref := range uint64(5) { // 2 get slots, 3 wait
		c.open(ref)
	}
	c.silent()
	c.open(6)
	m := c.expectError(wire.QueueFull, wire.NeverStarted, "3 hits wait", "2 slots", `"echo"`, "limit is 3", "--max-queue", "start more workers")
	require.Equal(t, uint64(6), m.Header.Hit)
	require.Equal(t, 1, s.counts[wire.QueueFull])

	w.expect(wire.Begin)
	m = w.expect(wire.Begin)
	w.say(wire.Header{Type: wire.Ended, Status: wire.ServiceError, Hit: m.Header.Hit, Epoch: m.Header.Epoch})
	w.expect(wire.Begin)
	c.expect(wire.Error)
	c.open(7)
	c.silent() // there is a place in the queue again
}

func TestNothingWaitsWhereTheLimitIsNone(t *testing.T) {
	cfg := config()
	cfg.MaxQueue = 0
	s := newTheatre(t, cfg)
	s.now = time.Second // within the grace
	c := s.client()
	c.open(1)
	c.expectError(wire.QueueFull, wire.NeverStarted, "0 hits wait for one of the 0 slots", "limit is 0")
	require.Zero(t, s.broker.Inventory().Unoffered, "a service that nobody offers and waits for is forgotten")
}

func TestAnOpenExpires(t *testing.T) {
	quote(t, "deadline, ms (0: the broker's limit)")
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	s.begun(c, w, 1, 0)
	c.openFor(2, 0, 700)
	c.openFor(3, oneShot, 0, "echo", "", "body")
	c.openFor(4, 0, 90_000) // longer than the broker lets anybody wait
	require.Equal(t, s.now+700*time.Millisecond, s.broker.Deadline())

	s.tick(699 * time.Millisecond)
	c.silent()
	s.tick(time.Millisecond)
	m := c.expectError(wire.Expired, wire.NeverStarted, `no slot of service "echo"`, "1 slots", "2 more hits wait", "allow more time")
	require.Equal(t, uint64(2), m.Header.Hit)
	c.silent()

	s.tick(30*time.Second - 701*time.Millisecond)
	c.silent()
	s.tick(time.Millisecond)
	m = c.expectError(wire.Expired, wire.NeverStarted)
	require.Equal(t, wire.Ref|wire.Last, m.Header.Flags, "the one answer of a one-shot")
	c.expectError(wire.Expired, wire.NeverStarted)
	require.Zero(t, s.broker.Deadline())
	require.EqualValues(t, 3, s.broker.Status(s.now).Totals.Expired)
	w.silent()
}

func TestBeginCarriesWhatIsLeftOfTheDeadline(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	h := s.begun(c, w, 1, 0)
	c.openFor(2, 0, 90_000)
	c.openFor(3, 0, 400)
	s.tick(300 * time.Millisecond)
	h.worker(wire.Header{Type: wire.Ended, Status: wire.ServiceError})
	m := w.expect(wire.Begin)
	require.Equal(t, uint32(89_700), m.Header.Arg, "the limit on waiting is none on running")
	s.now += 99*time.Millisecond + 999*time.Microsecond
	w.say(wire.Header{Type: wire.Ended, Hit: m.Header.Hit, Epoch: m.Header.Epoch})
	require.Equal(t, uint32(1), w.expect(wire.Begin).Header.Arg, "0 would be none")
}

func TestBadOpens(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	for name, open := range map[string]struct {
		flags    wire.Flags
		frames   []string
		status   wire.Status
		contains string
	}{
		"no reference":    {0, []string{"echo", ""}, wire.BadFlag, "set ref"},
		"options no JSON": {wire.Ref, []string{"echo", "{"}, wire.BadFrame, "cannot be read"},
		"options a list":  {wire.Ref, []string{"echo", "[]"}, wire.BadFrame, "not an object"},
		"options large":   {wire.Ref, []string{"echo", `{"x":"` + strings.Repeat("x", wire.MaxOptions) + `"}`}, wire.BadFrame, "at most 65536"},
		"label long":      {wire.Ref, []string{"echo", `{"label":"` + strings.Repeat("x", 129) + `"}`}, wire.BadFrame, "label has 129 bytes: at most 128"},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.counts[open.status]
			c.say(wire.Header{Type: wire.Open, Flags: open.flags, Hit: 1}, open.frames...)
			c.expectError(open.status, wire.NeverStarted, open.contains)
			require.Equal(t, before+1, s.counts[open.status])
			w.silent()
		})
	}
	require.Zero(t, s.used())
}

func TestALabelNamesTheHitInListings(t *testing.T) {
	quote(t, "the key `label` names the hit in listings, the key `session` is for the worker, other keys are ignored")
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	c.openFor(1, 0, 0, "echo", `{"label":"mine","color":"red"}`)
	first := w.expect(wire.Begin)
	c.openFor(2, 0, 0, "echo", `{"label":"waited"}`)
	require.Equal(t, "mine", s.broker.AllHits()[0].Label())
	w.say(wire.Header{Type: wire.Ended, Hit: first.Header.Hit, Epoch: first.Header.Epoch})
	require.Equal(t, "waited", s.broker.AllHits()[0].Label())
}

func TestOpenWithoutHelloIsRefused(t *testing.T) {
	quote(t, "A HELLO or READY that was refused registers nobody.")
	s := newTheatre(t, config())
	s.worker("w", 1)
	p := s.peer()
	p.say(wire.Header{Type: wire.Hello}, "no JSON")
	p.expectError(wire.BadFrame, wire.NeverStarted, "HELLO", "not an object")
	p.open(1)
	p.expectError(wire.NotRegistered, wire.NeverStarted, "say HELLO first")
}

func TestNoHandleLeft(t *testing.T) {
	s := newTheatre(t, config())
	a, b := s.worker("a", 3), s.worker("b", 3)
	c := s.client()
	s.stage.handles.limit = 2
	h := s.begun(c, a, 1, 0)
	s.begun(c, b, 2, 0)
	c.open(3)
	c.expectError(wire.QueueFull, wire.NeverStarted, "as many hits as it has handles", "close some")
	h.worker(wire.Header{Type: wire.Ended})
	c.expect(wire.Error)
	c.open(4)
	a.expect(wire.Begin) // the least busy one, whoever was chosen in vain before
}
