package supervision

import (
	"context"
	"fmt"

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

// List returns the whole tree as it is, supervisor by supervisor. A nested
// supervisor that ends meanwhile has no Children.
func (t *Tree) List(ctx context.Context) (Status, error) {
	root := Status{
		ID: t.root.spec.Name, PID: t.pid, State: StateRunning,
		Supervisor: true, port: t.root.port,
	}
	return root, fillChildren(ctx, &root)
}

func fillChildren(ctx context.Context, st *Status) error {
	if st.port == nil {
		return nil
	}
	listing, err := askPort[*Listing](ctx, st.port, &List{})
	if err != nil {
		return fmt.Errorf("supervision: list %q: %w", st.ID, err)
	}
	st.Children = listing.Children
	for i := range st.Children {
		if err := fillChildren(ctx, &st.Children[i]); err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}
