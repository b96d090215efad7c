package supervision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// askPort puts a request to a supervisor from outside of all actors.
func askPort[T any](ctx context.Context, p *port, message any) (T, error) {
	var none T
	reply := make(chan T, 1)
	answer := func(v any) { // called once at most, with the type that belongs to message
		if m, ok := v.(T); ok {
			reply <- m
		}
	}
	if !p.post(ask{message, answer}) {
		return none, ErrStopping
	}
	select {
	case v := <-reply:
		return v, nil
	case <-ctx.Done():
		return none, ctx.Err()
	case <-p.gone:
	}
	select {
	case v := <-reply: // it was answered at the last moment
		return v, nil
	default:
		return none, ErrStopping
	}
}

// StartChild starts a child of the root supervisor and waits for its start.
// If ctx ends before, the child is not stopped: StopChild does that.
func (t *Tree) StartChild(ctx context.Context, spec ChildSpec) (*actor.PID, error) {
	started, err := askPort[*Started](ctx, t.root.port, &StartChild{Spec: spec})
	if err != nil {
		return nil, fmt.Errorf("supervision: start child %q: %w", spec.ID, err)
	}
	return started.PID, started.Err
}

// StopChild stops a child of the root supervisor and forgets its spec. It
// returns when the child has stopped, or was abandoned: then the error is
// Abandoned.
func (t *Tree) StopChild(ctx context.Context, id string) error {
	stopped, err := askPort[*ChildStopped](ctx, t.root.port, &StopChild{ID: id})
	if err != nil {
		return fmt.Errorf("supervision: stop child %q: %w", id, err)
	}
	return stopped.Err
}

// ListPatience is how long Tree.List waits in all for supervisors that do not
// answer.
const ListPatience = 500 * time.Millisecond

// List returns the whole tree as it is, supervisor by supervisor. A nested
// supervisor that ends meanwhile has no Children. One that does not answer is
// marked as Late: List then returns soon after ListPatience, whoever hangs.
func (t *Tree) List(ctx context.Context) (Status, error) {
	root := Status{
		ID: t.root.spec.Name, Path: t.pid.Id, PID: t.pid, State: StateRunning, Mailbox: -1,
		Supervisor: true, sup: t.root,
	}
	if m, ok := t.root.stampOf(t.pid); ok {
		root.Mailbox, root.Message, root.For = m.Waiting, m.Message, m.For
	}
	soon, cancel := context.WithTimeout(ctx, ListPatience)
	defer cancel()
	return root, root.fill(ctx, soon)
}

// fill asks the supervisor for its children, and reads past it when soon ends.
func (st *Status) fill(ctx, soon context.Context) error {
	if st.sup == nil {
		return nil
	}
	listing, err := askPort[*Listing](soon, st.sup.port, &List{})
	switch {
	case err == nil:
		st.Children = listing.Children
	case ctx.Err() != nil || errors.Is(err, ErrStopping):
		return fmt.Errorf("supervision: list %q: %w", st.ID, err)
	default:
		st.Late, st.Children = true, st.sup.peek()
	}
	for i := range st.Children {
		if err := st.Children[i].fill(ctx, soon); err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}
