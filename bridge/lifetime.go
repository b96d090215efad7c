package bridge

import (
	"fmt"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// listen hears the monitors and probes what they cannot report on. It returns how many events there were.
func (l *Loop) listen() int {
	l.heard = time.Duration(l.now)
	n := 0
	for _, ep := range l.eps {
		n += ep.hearEvents()
		ep.attend()
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
	}
	return n + l.flush()
}

// hearEvents takes in what happened to the endpoint's connections. Nothing is given up yet, so that it may be called at any time.
func (ep *Endpoint) hearEvents() int {
	if ep.sock == nil {
		return 0
	}
	ep.events = ep.sock.Events(ep.events[:0])
	for _, e := range ep.events {
		switch {
		case ep.sender != nil:
			ep.hearBroker(e)
		case e.Kind == zmqsock.Connected:
			ep.open[e.FD] = true
		case e.Kind == zmqsock.Refused:
			ep.loop.stats.fail(e.Failure)
		case e.Kind == zmqsock.Disconnected:
			delete(ep.open, e.FD)
			if p := ep.byFD[e.FD]; p != nil {
				ep.leave(p, fmt.Sprintf("its connection (descriptor %d at %s) was closed, by its end or because it fell silent", e.FD, e.Addr))
			}
		}
	}
	return len(ep.events)
}

// probe sends PING where only a refused send tells that nobody is there: to peers without a known connection, and to a broker that
// may have been restarted behind a connection that lives (inproc, proxies).
func (ep *Endpoint) probe() {
	if ep.sender != nil {
		ep.sender.probe(ep.inproc())
		return
	}
	for _, p := range ep.peers {
		if p != nil && !p.conn.Known() && p.end == nil {
			ep.loop.out.probe(p)
		}
	}
}

// end closes everything. It runs once, on the loop's goroutine, after which nothing is left but turns of actors that were scheduled late.
func (l *Loop) end() {
	l.settle()
	l.closePosted()
	l.settle()
	for _, ep := range l.eps {
		for _, p := range ep.peers {
			if p != nil {
				p.wait.drop()
			}
		}
		if ep.sender != nil {
			ep.sender.close()
		}
		if ep.posts != nil {
			ep.posts.free()
		}
		if ep.sock != nil {
			_ = ep.sock.Close()
		}
	}
	for _, p := range l.plains {
		p.end()
	}
	l.closed, l.eps, l.plains = true, nil, nil
	l.q.close()
	l.out.out.Free()
	l.trimAll()
	_ = l.q.wake.Close()
	for _, g := range l.guards {
		g.Close()
	}
	if l.shared {
		releaseContext()
	}
	close(l.done)
}

// settle does what is left to do, within bounds: actors that always find something to say do not keep the loop from ending.
func (l *Loop) settle() {
	for range 100 {
		l.tick()
		if l.runPosted()+l.q.run(maxTurns)+l.flush() == 0 {
			return
		}
	}
}

// closePosted makes Do report false from now on, and runs what it has promised to run.
func (l *Loop) closePosted() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.q.posted.Store(true)
	l.runPosted()
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
