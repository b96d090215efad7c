package assigner

import (
	"context"
	"errors"
)

// DefaultBrokerConfig returns the configuration that the zero BrokerConfig stands for, for commands that show defaults. Its name and
// logger are left empty.
func DefaultBrokerConfig() BrokerConfig {
	c := BrokerConfig{Name: "-"}.withDefaults()
	c.Name, c.Logger = "", nil
	return c
}

// Wait returns nil when ctx ends or the broker is closed, and before that an error when a part of it has failed. Valid after Start.
func (b *Broker) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-b.closed:
		return nil
	case <-b.tree.Done():
		return b.tree.Err()
	case <-b.loop.Done():
		return errors.New("assigner: the broker's loop has ended")
	}
}

// Ready waits until the client is registered at its broker. The error is an *Error that is ErrBrokerGone when ctx ends before that, and
// the broker's refusal where it refuses the client for ever.
func (c *Client) Ready(ctx context.Context) error { return c.ready(ctx) }

// Wait returns nil when ctx ends or the worker is closed, and before that an error when the broker has refused the worker for ever or a part of
// the worker has failed. Valid after Start.
func (w *Worker) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-w.closed:
		return nil
	case <-w.link.failed:
		return w.link.err
	case <-w.link.tree.Done():
		return w.link.tree.Err()
	case <-w.link.loop.Done():
		return errors.New("assigner: the worker's loop has ended")
	}
}
