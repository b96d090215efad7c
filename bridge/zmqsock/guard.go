//go:build cgo

package zmqsock

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Guard says who may come in at Router sockets with a Curve: it asks a function about the public key of everybody who knocks. Guards of one context
// share its ZAP handler (RFC 27), of which libzmq allows one per context: the first guard starts it, the last one that is closed ends it. All methods are safe for
// concurrent use.
type Guard struct {
	handler *zap
	domain  string
	allow   func(public string) bool
	closed  sync.Once

	admitted, refused atomic.Uint64
}

// ErrGuardDied is the cause where a context's ZAP handler has ended without being asked to.
var ErrGuardDied = errors.New("the handler that judges keys has ended")

// Guard returns a guard with a fresh ZAP domain. Allow is called with public keys in Z85, on the handler's goroutine: it must not block, and a panic of it ends
// the handler. When Guard returns without an error the handler answers, and has been seen to refuse a key that nobody knows. The guard must be closed, after the
// sockets it guards and before the context.
func (c *Context) Guard(allow func(public string) bool) (*Guard, error) {
	h, err := acquireZAP(c)
	if err != nil {
		return nil, err
	}
	g := &Guard{handler: h, domain: fmt.Sprintf("troupe-%d", domains.Add(1)), allow: allow}
	h.enter(g)
	if err := g.test(c); err != nil {
		g.Close()
		return nil, err
	}
	g.refused.Store(0) // that was ourselves
	return g, nil
}

var domains atomic.Uint64

// Admitted and Refused return how many handshakes were let through and turned away since the guard was made.
func (g *Guard) Admitted() uint64 { return g.admitted.Load() }

// Refused is described at Admitted.
func (g *Guard) Refused() uint64 { return g.refused.Load() }

// Done is closed when the handler has ended: by the last guard's Close, or because it has failed, which Err tells.
func (g *Guard) Done() <-chan struct{} { return g.handler.done }

// Err returns why the handler has ended, nil while it answers. Errors are ErrGuardDied.
func (g *Guard) Err() error {
	select {
	case <-g.handler.done:
		return g.handler.err
	default:
		return nil
	}
}

// Fail makes the handler end as if it had broken, for all guards of the context. It is for tests of those who depend on it.
func (g *Guard) Fail(why string) {
	g.handler.fail.CompareAndSwap(nil, &why)
	g.handler.wake.Wake()
}

// Close gives the guard up. The last one of a context waits until the handler has ended. Closing twice does nothing.
func (g *Guard) Close() { g.closed.Do(func() { releaseZAP(g) }) }

// judge answers for one key.
func (g *Guard) judge(public string) bool {
	if !g.allow(public) {
		g.refused.Add(1)
		return false
	}
	g.admitted.Add(1)
	return true
}
