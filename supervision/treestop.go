package supervision

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// PID returns the root supervisor's PID, for the messages of this package.
func (t *Tree) PID() *actor.PID { return t.pid }

// Done is closed when the root supervisor and all its children have ended, or
// were abandoned.
func (t *Tree) Done() <-chan struct{} { return t.done }

// Reason returns why the tree ended, or nil before Done is closed.
func (t *Tree) Reason() Reason {
	select {
	case <-t.done:
		return t.reason
	default:
		return nil
	}
}

// Err returns the Reason if it is an abnormal one, such as IntensityExceeded.
func (t *Tree) Err() error {
	if r := t.Reason(); abnormal(r) {
		return r
	}
	return nil
}

// Stop stops the tree in reverse start order, each child within its own
// deadline, and returns nil when everything has stopped. Otherwise it returns
// an *UnstoppedError. If ctx ends first the tree goes on stopping by itself,
// and Stop may be called again. Even a root supervisor that does not run any
// more, because its dispatcher hangs, does not make Stop hang: it is abandoned
// too.
func (t *Tree) Stop(ctx context.Context) error {
	t.root.askStop()
	select {
	case <-t.done:
		return t.root.report.err(nil)
	case <-ctx.Done():
		return t.root.report.err(ctx.Err())
	case <-t.turn:
		defer func() { t.turn <- struct{}{} }()
		return t.awaitEnd(ctx)
	}
}

// awaitEnd is to the root what a supervisor is to a nested one: it waits as
// long as the root says that it may need.
func (t *Tree) awaitEnd(ctx context.Context) error {
	if t.until.IsZero() {
		t.allow(DefaultShutdown)
	}
	for {
		expired, revoke := t.expiry()
		select {
		case <-t.done:
			revoke()
			return t.root.report.err(nil)
		case <-ctx.Done():
			revoke()
			return t.root.report.err(ctx.Err())
		case <-expired:
			t.abandonRoot()
		case <-t.bell:
			revoke()
			t.extend()
		}
	}
}

func (t *Tree) expiry() (<-chan struct{}, func()) {
	expired := make(chan struct{})
	revoke := t.clock.After(max(0, t.until.Sub(t.clock.Now())), func() { close(expired) })
	return expired, revoke
}

func (t *Tree) extend() {
	for _, item := range t.port.take() {
		if m, ok := item.(extend); ok {
			t.allow(m.by)
		}
	}
}

func (t *Tree) allow(by time.Duration) {
	after := by + grace
	if until := t.clock.Now().Add(after); until.After(t.until) {
		t.until, t.patience = until, after
	}
}

func (t *Tree) abandonRoot() {
	abandon(t.system, t.pid)
	t.root.port.close()
	t.root.report.abandon(t.pid.Id)
	t.end(Abandoned{After: t.patience})
}
