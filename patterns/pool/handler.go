package pool

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/troupe-mq/troupe/patterns/pool/machine"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// Query is a question as a handler sees it. Its methods may be called from any goroutine while the handler runs.
type Query struct {
	m    *Member
	q    wire.QuestionID
	host wire.HostID
	body []byte
}

// Body returns what is asked. The bytes are the handler's.
func (q *Query) Body() []byte { return q.body }

// ID names the question: the asker's id and a number.
func (q *Query) ID() string { return q.q.String() }

// Send sends a part of the answer; the asker has it before the others. The bytes are copied. It does not wait.
func (q *Query) Send(part []byte) {
	b := append([]byte(nil), part...)
	q.m.do(func() { q.m.loop.apply(q.m.loop.node.Partly(q.m.loop.now(), q.q, b)) })
}

// Handle runs the handler for a question.
func (l *loop) Handle(id wire.QuestionID, host wire.HostID, body []byte) {
	ctx, cancel := context.WithCancel(l.m.life)
	l.cancels[id] = cancel
	l.begun++
	q := &Query{m: l.m, q: id, host: host, body: body}
	l.m.handlers.Go(func() {
		defer cancel()
		answer, err := l.m.run(ctx, q)
		failure := ""
		if err != nil {
			failure = err.Error()
		}
		if err != nil && failure == "" {
			failure = "the handler has failed without a text"
		}
		l.m.do(func() {
			delete(l.cancels, id)
			l.apply(l.node.Answered(l.now(), id, answer, failure))
		})
	})
}

var errNoHandler = errors.New("this member answers no questions: it was joined without a handler")

// run runs the handler; a panic is an error, and logged with its stack.
func (m *Member) run(ctx context.Context, q *Query) (answer []byte, err error) {
	if m.cfg.Handler == nil {
		return nil, errNoHandler
	}
	defer func() {
		if v := recover(); v != nil {
			m.cfg.Logger.Error("a handler has panicked", "question", q.ID(), "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("the handler has panicked: %v", v)
		}
	}()
	return m.cfg.Handler(ctx, q)
}

// Stop ends a handler whose answer nobody wants any more.
func (l *loop) Stop(id wire.QuestionID) {
	if cancel := l.cancels[id]; cancel != nil {
		cancel()
		delete(l.cancels, id)
	}
}

var _ machine.Port = (*loop)(nil)
