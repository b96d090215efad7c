package bridge

import (
	"fmt"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// listen hears the monitors and probes what they cannot report on. It returns how many events there were.
func (l *Loop) listen() int {
	l.heard = time.Duration(l.now)
	n := 0
	for _, ep := range l.eps {
		n += ep.hearEvents()
	}
	for _, p := range l.plains {
		n += p.hear()
	}
	if time.Duration(l.now)-l.probed >= l.cfg.Probe {
		l.probed = time.Duration(l.now)
		for _, ep := range l.eps {
			ep.probe()
		}
		for _, p := range l.plains {
			p.probe()
		}
		n += l.flush()
	}
	return n
}

// hearEvents takes in what happened to the endpoint's connections.
func (ep *Endpoint) hearEvents() int {
	ep.events = ep.sock.Events(ep.events[:0])
	n := 0
	for _, e := range ep.events {
		if e.Kind == zmqsock.Disconnected {
			ep.disconnected(e)
			n++
		}
	}
	return n
}

// disconnected ends the peer whose connection is lost, after what it said last has been heard.
func (ep *Endpoint) disconnected(e zmqsock.Event) {
	if ep.sender != nil {
		ep.Reopen("disconnected", fmt.Sprintf("the connection to %s was lost", e.Addr))
		return
	}
	p := ep.byFD[e.FD]
	if p == nil {
		return
	}
	delete(ep.byFD, e.FD)
	p.fd = -1
	for range 4 {
		if n, err := ep.loop.receive(ep); n == 0 || err != nil {
			break
		}
		ep.loop.q.run(maxTurns)
	}
	ep.loop.lose(p, "disconnected", fmt.Sprintf("its connection (descriptor %d at %s) was closed", e.FD, e.Addr))
}

// probe sends PING where only a refused send tells that nobody is there: to peers without a descriptor, and to a broker that
// may have been restarted behind a connection that lives (inproc, proxies).
func (ep *Endpoint) probe() {
	ping := wire.Header{Type: wire.Ping}
	if ep.sender != nil {
		if ep.sender.quiet() && ep.sender.window > 0 {
			_ = ep.sender.Send(&ping)
		}
		return
	}
	for _, p := range ep.peers {
		if p != nil && p.fd < 0 {
			_ = ep.loop.out.Send(p.ref, ping)
		}
	}
}

// Reopen replaces a DEALER whose connection is lost by a fresh one: nothing said on the old one can reach a new broker.
func (ep *Endpoint) Reopen(detector, detail string) {
	l := ep.loop
	old := ep.peers[0]
	ep.sender.detach()
	_ = ep.sock.Close()
	l.stats.Reopened.Add(1)
	if old != nil {
		l.lose(old, detector, detail)
	}
	if err := ep.start(); err != nil {
		l.cfg.Logger.Error("cannot connect again", "endpoint", ep.cfg.Connect, "error", err)
	}
	l.repoll()
}

// end closes everything. It runs once, on the loop's goroutine.
func (l *Loop) end() {
	l.tick()
	l.q.run(maxTurns)
	l.runPosted()
	l.flush()
	for _, ep := range l.eps {
		if ep.sender != nil {
			ep.sender.close()
		}
		_ = ep.sock.Close()
	}
	for _, p := range l.plains {
		p.end()
	}
	l.q.close()
	close(l.done)
	l.runPosted()
	l.out.out.Free()
	l.trimAll()
	l.q.mu.Lock()
	_ = l.q.wake.Close()
	l.q.mu.Unlock()
	if l.shared {
		releaseContext()
	}
}

func (l *Loop) trimAll() {
	for _, a := range l.free {
		a.in.Free()
		l.arenas--
	}
	l.free = nil
}

// The context shared by the loops of a process, which inproc endpoints need. It ends with its last user.
var shared struct {
	sync.Mutex
	ctx   *zmqsock.Context
	users int
}

func acquireContext() (*zmqsock.Context, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.users == 0 {
		c, err := zmqsock.NewContext()
		if err != nil {
			return nil, err
		}
		shared.ctx = c
	}
	shared.users++
	return shared.ctx, nil
}

// releaseContext ends the context after its last user. It blocks for the sockets' linger at most, which is finite.
func releaseContext() {
	shared.Lock()
	defer shared.Unlock()
	shared.users--
	if shared.users == 0 {
		_ = shared.ctx.Term()
		shared.ctx = nil
	}
}
