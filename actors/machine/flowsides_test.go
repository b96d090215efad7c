package machine_test

import (
	"encoding/binary"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// asker is the client of a channel.
type asker struct {
	*channel
	next  uint32
	calls []*question // not answered to the end
	up    *body       // being sent
}

// question is a call as its client knows it.
type question struct {
	seq       uint32
	reply     *body // in parts, begun
	cancelled bool
}

func (a *asker) say(h wire.Header, frames ...[]byte) {
	h.Hit, h.Epoch = a.handle, 1
	a.ups = append(a.ups, wire.NewMessage(h, frames...))
}

func (a *asker) act() {
	switch what := a.chance.IntN(12); {
	case what < 2 && len(a.calls) < 3 && (a.up == nil || !a.up.on):
		a.call()
	case what == 2 && len(a.calls) > 0:
		a.cancel(a.calls[a.chance.IntN(len(a.calls))])
	default:
		a.carryOn()
	}
}

func (a *asker) call() {
	a.next++
	a.calls = append(a.calls, &question{seq: a.next})
	head := wire.Header{Type: wire.Call, Seq: a.next}
	if a.chance.IntN(4) == 0 {
		a.say(head, []byte("head"))
		return
	}
	a.up = &body{seq: a.next, size: a.size(), on: true}
	head.Flags = wire.More
	a.say(head, wire.SizeFrame(a.up.size), []byte("head"))
}

func (a *asker) cancel(x *question) {
	x.cancelled = true
	if a.up != nil && a.up.on && a.up.seq == x.seq {
		a.up.on = false
		a.seen.cancelledUp++
	}
	a.say(wire.Header{Type: wire.Cancel, Seq: x.seq})
}

// carryOn sends more of the body, or allows more of the reply.
func (a *asker) carryOn() {
	if a.up != nil && a.up.on {
		if m := a.lie(a.client, a.up.next(a.chance, wire.Header{Hit: a.handle, Epoch: 1})); m != nil {
			a.ups = append(a.ups, m)
		}
	}
	if len(a.calls) > 0 && a.calls[0].reply != nil && a.calls[0].reply.on {
		a.say(wire.Header{Type: wire.Credit, Seq: a.calls[0].seq, Arg: a.allow(a.calls[0].reply)})
	}
}

// over ends a call: no more of its body is sent.
func (a *asker) over(x *question) {
	if a.up != nil && a.up.on && a.up.seq == x.seq {
		a.up.on = false
		a.seen.early++
	}
	a.calls = a.calls[1:]
}

// read takes what the broker says: one answer to each call, in order, and each reply to its end before the next one.
func (a *asker) read() bool {
	if len(a.client.inbox) == 0 {
		return false
	}
	m := a.client.inbox[0]
	a.client.inbox = a.client.inbox[1:]
	if a.liar == a.client {
		a.readAny(m)
		return true
	}
	if m.Header.Type == wire.Credit {
		a.credited(m)
		return true
	}
	require.NotEmpty(a.t, a.calls, "an answer to nothing: %v: %s", m.Header, m.Frame(0))
	x := a.calls[0]
	require.Equal(a.t, x.seq, m.Header.Seq, "%v: %s", m.Header, m.Frame(0))
	switch m.Header.Type {
	case wire.Reply:
		require.Nil(a.t, x.reply, "a second answer")
		if !m.Header.Flags.Has(wire.More) {
			a.over(x)
			return true
		}
		x.reply = &body{seq: x.seq, size: binary.BigEndian.Uint64(m.Frame(0)), on: true}
	case wire.Part:
		require.NotNil(a.t, x.reply, "a part of a reply that has not begun")
		if a.take(x.reply, m) {
			a.seen.wholeDown++
			a.over(x)
		}
	case wire.Error:
		a.failed(x, m)
	default:
		require.Fail(a.t, "a client got", "%v", m.Header)
	}
	return true
}

func (a *asker) credited(m *wire.Message) {
	if a.up != nil && a.up.seq == m.Header.Seq {
		limit := wire.CreditLimit(a.up.limit, m.Header.Arg)
		require.Greater(a.t, limit, a.up.limit, "credit that is none")
		a.up.limit = limit
	}
}

func (a *asker) failed(x *question, m *wire.Message) {
	expected := []wire.Status{wire.ServiceError}
	if x.cancelled {
		expected = append(expected, wire.Cancelled)
	}
	if a.liar == a.worker {
		expected = append(expected, wire.BadPart, wire.OverCredit)
	}
	require.Contains(a.t, expected, m.Header.Status, "%s", m.Frame(0))
	if x.reply != nil {
		a.seen.broken++
	}
	a.over(x)
}

// readAny takes what a liar hears: it knows only which of its calls are answered.
func (a *asker) readAny(m *wire.Message) {
	switch {
	case m.Header.Type == wire.Credit:
		if a.up != nil && a.up.seq == m.Header.Seq {
			a.up.limit = wire.CreditLimit(a.up.limit, m.Header.Arg)
		}
		return
	case len(a.calls) == 0 || a.calls[0].seq != m.Header.Seq:
		return
	case m.Header.Type == wire.Reply && m.Header.Flags.Has(wire.More):
		a.calls[0].reply = &body{seq: m.Header.Seq, size: wire.Unsized, on: true}
		return
	case m.Header.Flags.Has(wire.More), m.Header.Type == wire.Error && wire.Outcome(m.Header.Arg) == wire.NeverStarted && m.Header.Status != wire.Cancelled:
		return
	}
	a.over(a.calls[0])
}

// answerer is the worker of a channel.
type answerer struct {
	*channel
	heard uint32
	tasks []*served
	down  *body // the reply to the first task, begun
}

// served is a call as its worker knows it.
type served struct {
	seq       uint32
	body      *body // nil: it has none in parts
	cancelled bool
}

func (w *answerer) say(h wire.Header, frames ...[]byte) {
	h.Hit, h.Epoch = w.handle, w.epoch
	w.downs = append(w.downs, wire.NewMessage(h, frames...))
}

// read takes what the broker says: calls in order, and of their bodies what is right and has been allowed.
func (w *answerer) read() bool {
	if len(w.worker.inbox) == 0 {
		return false
	}
	m := w.worker.inbox[0]
	w.worker.inbox = w.worker.inbox[1:]
	x := w.task(m.Header.Seq)
	switch m.Header.Type {
	case wire.Call:
		w.heard++
		require.Equal(w.t, w.heard, m.Header.Seq)
		x = &served{seq: w.heard}
		if m.Header.Flags.Has(wire.More) {
			x.body = &body{seq: w.heard, size: binary.BigEndian.Uint64(m.Frame(0)), on: true}
		}
		w.tasks = append(w.tasks, x)
	case wire.Part:
		w.part(x, m)
	case wire.Cancel:
		if x != nil {
			x.cancelled = true
		}
	case wire.Credit:
		if w.down != nil && w.down.seq == m.Header.Seq {
			limit := wire.CreditLimit(w.down.limit, m.Header.Arg)
			require.Greater(w.t, limit, w.down.limit, "credit that is none")
			w.down.limit = limit
		}
	default:
		require.True(w.t, m.Header.Type == wire.Error && w.liar == w.worker, "an honest worker got %v: %s", m.Header, m.Frame(0))
	}
	return true
}

func (w *answerer) part(x *served, m *wire.Message) {
	if x == nil {
		require.LessOrEqual(w.t, m.Header.Seq, w.heard, "a part of a call that has not come")
		return // the call is over
	}
	require.NotNil(w.t, x.body, "a part of a call without parts: %v", m.Header)
	if w.take(x.body, m) {
		w.seen.wholeUp++
	}
}

func (w *answerer) task(seq uint32) *served {
	for _, x := range w.tasks {
		if x.seq == seq {
			return x
		}
	}
	return nil
}

func (w *answerer) act() {
	for _, x := range w.tasks { // bodies are read ahead of their calls' turns
		if x.body != nil && x.body.on && !x.cancelled {
			w.say(wire.Header{Type: wire.Credit, Seq: x.seq, Arg: w.allow(x.body)})
		}
	}
	if len(w.tasks) == 0 {
		return
	}
	x := w.tasks[0]
	switch what := w.chance.IntN(12); {
	case x.cancelled:
		w.fail(x, wire.Cancelled)
	case w.down != nil && what == 0:
		w.fail(x, wire.ServiceError)
	case w.down != nil:
		w.carryOn(x)
	case x.body != nil && x.body.on && what > 0: // it reads the body first, mostly
	case what < 3:
		w.say(wire.Header{Type: wire.Reply, Seq: x.seq}, []byte("answer"))
		w.done()
	case what < 4:
		w.fail(x, wire.ServiceError)
	default:
		w.down = &body{seq: x.seq, size: w.size(), on: true}
		w.say(wire.Header{Type: wire.Reply, Flags: wire.More, Seq: x.seq}, wire.SizeFrame(w.down.size), []byte("head"))
	}
}

func (w *answerer) carryOn(x *served) {
	m := w.lie(w.worker, w.down.next(w.chance, wire.Header{Hit: w.handle, Epoch: w.epoch}))
	if m == nil {
		return
	}
	w.downs = append(w.downs, m)
	if !w.down.on {
		w.done()
	}
}

func (w *answerer) fail(x *served, s wire.Status) {
	w.say(wire.Header{Type: wire.Error, Status: s, Seq: x.seq, Arg: uint32(wire.Unknown)}, []byte("no: not today"))
	w.done()
}

func (w *answerer) done() { w.tasks, w.down = w.tasks[1:], nil }
