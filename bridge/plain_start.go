package bridge

import (
	"context"
	"fmt"
)

// Bridge is a loop with one plain endpoint and the goroutine that serves it: all that an actor system needs to talk to ZeroMQ peers. All
// methods are safe for use from any goroutine.
type Bridge struct {
	*Plain
	loop *Loop
	done chan struct{}
	err  error // after done
}

// Start binds a plain endpoint and serves it until Close, or until ctx ends. The actor system stays the caller's.
func Start(ctx context.Context, cfg Config, plain PlainConfig) (*Bridge, error) {
	l, err := New(cfg)
	if err != nil {
		return nil, err
	}
	p, err := l.OpenPlain(plain)
	if err != nil {
		_ = l.Close(context.Background()) // never served, so it does not wait
		return nil, err
	}
	b := &Bridge{Plain: p, loop: l, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		if b.err = l.Serve(ctx); b.err != nil {
			l.cfg.Logger.Error("the bridge has ended", "error", b.err)
		}
	}()
	return b, nil
}

// Close ends the bridge: what was written is handed to libzmq, watchers of peers get Terminated, sockets are closed. It waits for that
// until ctx is over, and returns why the bridge had ended before, if it had.
func (b *Bridge) Close(ctx context.Context) error {
	b.loop.Stop()
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("bridge: it did not end: %w", context.Cause(ctx))
	}
}

// Done is closed when the bridge has ended, whoever ended it.
func (b *Bridge) Done() <-chan struct{} { return b.done }

// Loop returns the loop, for its counters and for further endpoints (Loop.Do, Loop.OpenPlain).
func (b *Bridge) Loop() *Loop { return b.loop }
