//go:build cgo

package zmqsock

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	zmq "github.com/pebbe/zmq4"
)

// zap is the ZAP handler of one context: a goroutine with a REP socket that libzmq's I/O threads ask about every handshake of a socket with a domain.
type zap struct {
	ctx     *zmq.Context
	sock    *Socket
	poll    *Poller
	wake    *Wake
	users   int // under zaps
	mu      sync.Mutex
	domains map[string]*Guard
	stop    atomic.Bool
	fail    atomic.Pointer[string]
	err     error // why it has ended, after done
	done    chan struct{}
}

const zapEndpoint = "inproc://zeromq.zap.01"

// zaps are the handlers of all contexts of the process.
var zaps struct {
	sync.Mutex
	of map[*zmq.Context]*zap
}

// acquireZAP returns the context's handler, and starts it for the first user, or where it has failed.
func acquireZAP(c *Context) (*zap, error) {
	zaps.Lock()
	defer zaps.Unlock()
	h := zaps.of[c.c]
	if h != nil {
		select {
		case <-h.done:
			h = nil
		default:
		}
	}
	if h == nil {
		var err error
		if h, err = startZAP(c); err != nil {
			return nil, err
		}
		if zaps.of == nil {
			zaps.of = make(map[*zmq.Context]*zap)
		}
		zaps.of[c.c] = h
	}
	h.users++
	return h, nil
}

// releaseZAP takes a guard out, and ends the handler with the last one.
func releaseZAP(g *Guard) {
	h := g.handler
	h.mu.Lock()
	delete(h.domains, g.domain)
	h.mu.Unlock()
	zaps.Lock()
	defer zaps.Unlock()
	h.users--
	if h.users > 0 {
		return
	}
	if zaps.of[h.ctx] == h {
		delete(zaps.of, h.ctx)
	}
	h.stop.Store(true)
	h.wake.Wake()
	<-h.done
	_ = h.wake.Close()
}

func startZAP(c *Context) (*zap, error) {
	if !zmq.HasCurve() {
		return nil, ErrNoCurve
	}
	wake, err := NewWake()
	if err != nil {
		return nil, err
	}
	h := &zap{ctx: c.c, wake: wake, poll: NewPoller(wake), domains: make(map[string]*Guard), done: make(chan struct{})}
	if err := h.bind(); err != nil {
		_ = wake.Close()
		return nil, err
	}
	go h.serve()
	return h, nil
}

func (h *zap) bind() error {
	z, err := h.ctx.NewSocket(zmq.REP)
	if err != nil {
		return fmt.Errorf("zmqsock: no socket for the handler that judges keys: %w", err)
	}
	// A broken handler's name becomes free in the background.
	for until := time.Now().Add(time.Second); ; {
		err = errors.Join(z.SetLinger(0), z.Bind(zapEndpoint))
		if !errors.Is(err, zmq.Errno(syscall.EADDRINUSE)) || time.Now().After(until) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err == nil {
		h.sock = &Socket{s: z, names: []string{zapEndpoint}}
		err = h.poll.Set([]*Socket{h.sock})
	}
	if err != nil {
		_ = z.Close()
		return fmt.Errorf("zmqsock: the handler that judges keys cannot have %s (%w): a ZeroMQ context has one such handler, use a context of its own for this broker", zapEndpoint, cause(err))
	}
	return nil
}

func (h *zap) enter(g *Guard) {
	h.mu.Lock()
	h.domains[g.domain] = g
	h.mu.Unlock()
}

// serve answers until it is told to stop. Whatever else ends it is an error that its guards tell.
func (h *zap) serve() {
	defer close(h.done)
	defer func() {
		if v := recover(); v != nil {
			h.err = fmt.Errorf("%w: it panicked: %v\n%s", ErrGuardDied, v, debug.Stack())
		}
		_ = h.sock.Close()
	}()
	for !h.stop.Load() {
		if why := h.fail.Load(); why != nil {
			h.err = fmt.Errorf("%w: %s", ErrGuardDied, *why)
			return
		}
		err := h.answerAll()
		if err == nil {
			err = h.poll.Wait(-1)
		}
		if err != nil {
			h.err = fmt.Errorf("%w: %w", ErrGuardDied, cause(err))
			return
		}
	}
	h.err = fmt.Errorf("%w: its last guard was closed", ErrGuardDied)
}

// answerAll answers what waits.
func (h *zap) answerAll() error {
	for {
		request, err := h.sock.s.RecvMessageBytes(zmq.DONTWAIT)
		switch {
		case zmq.AsErrno(err) == zmq.Errno(syscall.EAGAIN):
			return nil
		case err != nil:
			return err
		}
		if _, err := h.sock.s.SendMessage(h.answer(request)...); err != nil {
			return err
		}
	}
}

// answer judges one request: version, request id, domain, address, identity, mechanism, credentials.
func (h *zap) answer(request [][]byte) []any {
	id := []byte{}
	if len(request) > 1 {
		id = request[1]
	}
	reply := func(code, text, user string) []any { return []any{"1.0", id, code, text, user, ""} }
	if len(request) < 6 || string(request[0]) != "1.0" {
		return reply("500", "not ZAP 1.0", "")
	}
	if string(request[5]) != "CURVE" || len(request) != 7 || len(request[6]) != 32 {
		return reply("400", "a CURVE key is needed", "")
	}
	h.mu.Lock()
	g := h.domains[string(request[2])]
	h.mu.Unlock()
	if g == nil {
		return reply("400", "no such domain", "")
	}
	public := zmq.Z85encode(string(request[6]))
	if !g.judge(public) {
		return reply("400", "the key is not known", "")
	}
	return reply("200", "OK", public)
}
