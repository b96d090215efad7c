package pool

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/pool/machine"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// loop is the goroutine that owns a member's node and sockets. Whatever it does, it does not wait for others.
type loop struct {
	m    *Member
	node *machine.Node
	poll *zmqsock.Poller
	in   *zmqsock.In
	out  *zmqsock.Out

	own  *zmqsock.Socket // everybody on this host reaches us here
	up   *way            // to the master
	side map[wire.MemberID]*way
	far  *far // to other hosts, of a master

	throne    *os.File                  // the lock of our term
	waits     map[wire.MemberID]*handle // whose end is waited for
	masterPID *handle                   // for a kill
	next      []func() []machine.Effect // answers to the node
	timers    []timer
	questions map[uint64]*Question
	cancels   map[wire.QuestionID]context.CancelFunc
	begun     int // handlers in this turn
	reports   map[wire.MemberID]func(wire.Status)
	over      bool
	retired   []*zmqsock.Socket
	dirty     bool // the set of sockets has changed
	told      bool // that the port is taken
}

// way is a connection to another member of this host.
type way struct {
	to   wire.MemberID
	sock *zmqsock.Socket
	used time.Duration
}

type timer struct {
	at time.Duration
	do func()
}

func randomBelow(n int) int { return rand.IntN(n) }

func newLoop(m *Member) (*loop, error) {
	in, err := zmqsock.NewIn(256)
	if err != nil {
		return nil, err
	}
	return &loop{
		m: m, node: machine.New(m.node()), poll: zmqsock.NewSharedPoller(m.wake), in: in, out: zmqsock.NewOut(), side: make(map[wire.MemberID]*way),
		waits: make(map[wire.MemberID]*handle), questions: make(map[uint64]*Question), cancels: make(map[wire.QuestionID]context.CancelFunc),
		reports: make(map[wire.MemberID]func(wire.Status)),
	}, nil
}

// bindOwn binds the member's own socket.
func (l *loop) bindOwn() error {
	s, err := l.m.ctx.Open(zmqsock.Config{Kind: zmqsock.Router, Handover: true, Heartbeat: -1, RecvHWM: -1})
	if err != nil {
		return err
	}
	if _, err := s.Bind("ipc://" + l.m.me.Socket); err != nil {
		_ = s.Close()
		return err
	}
	l.own, l.dirty = s, true
	return nil
}

func (l *loop) now() time.Duration { return time.Since(l.m.began) + 1 }

func (l *loop) serve() {
	defer func() {
		l.m.mu.Lock()
		l.m.closed = true
		l.m.mu.Unlock()
		l.m.release()
		close(l.m.done)
	}()
	l.apply(l.node.Start(l.now()))
	for !l.over {
		if err := l.turn(); err != nil {
			l.m.err = fmt.Errorf("pool: the member's loop: %w", err)
			return
		}
	}
	l.flush()
}

// turn is one round: all that has come, all that is due, and then a wait.
func (l *loop) turn() error {
	for n := 1; n > 0; {
		var err error
		if n, err = l.receive(); err != nil {
			return err
		}
	}
	for _, f := range l.m.take() {
		f()
	}
	l.due()
	l.apply(l.node.Tick(l.now()))
	l.sweep()
	l.announce()
	l.flush()
	if l.over {
		return nil
	}
	if l.begun > 0 { // what takes a handler no time is answered before this thread sleeps and another has to be woken
		l.begun = 0
		runtime.Gosched()
	}
	if !l.m.rest() {
		return nil
	}
	if l.dirty {
		l.dirty = false
		if err := l.poll.Set(l.sockets()); err != nil {
			return err
		}
	}
	wait := l.node.Deadline()
	for _, t := range l.timers {
		wait = min(wait, t.at)
	}
	return l.poll.Wait(max(wait-l.now(), 0))
}

// announce tells who waits for it that the node is ready.
func (l *loop) announce() {
	select {
	case <-l.m.ready:
	default:
		if l.node.Ready() {
			close(l.m.ready)
		}
	}
}

// apply carries out effects, and what comes of them.
func (l *loop) apply(fx []machine.Effect) {
	for _, e := range fx {
		e.Do(l)
	}
	for len(l.next) > 0 {
		all := l.next
		l.next = nil
		for _, f := range all {
			for _, e := range f() {
				e.Do(l)
			}
		}
	}
}

// soon answers the node when what it does now is done.
func (l *loop) soon(f func() []machine.Effect) { l.next = append(l.next, f) }

// after does something later.
func (l *loop) after(d time.Duration, do func()) {
	l.timers = append(l.timers, timer{l.now() + d, do})
}

func (l *loop) due() {
	now := l.now()
	all := l.timers
	l.timers = nil
	for _, t := range all {
		if t.at <= now {
			t.do()
		} else {
			l.timers = append(l.timers, t)
		}
	}
	for id, w := range l.side {
		if now-w.used > idleSide {
			l.retire(w.sock)
			delete(l.side, id)
		}
	}
}

// idleSide is after how long a connection to another member is closed that nobody uses.
const idleSide = 5 * time.Second

// depart leaves the pool.
func (l *loop) depart() {
	l.apply(l.node.Leave(l.now()))
	l.over = true
}

// close gives everything back. Last words linger for a moment.
func (l *loop) close() {
	for _, q := range l.questions {
		q.end(nil, fmt.Errorf("pool: %w", ErrClosed))
	}
	for _, cancel := range l.cancels {
		cancel()
	}
	for id := range l.waits {
		l.Unwatch(id)
	}
	if l.masterPID != nil {
		l.masterPID.close()
	}
	l.unlead()
	l.abdicate()
	l.unfollow()
	for _, w := range l.side {
		l.retire(w.sock)
	}
	l.sweep()
	if l.own != nil {
		_ = l.own.Close()
	}
	if err := l.poll.Close(); err != nil {
		l.m.cfg.Logger.Warn("the member's poller", "error", err)
	}
	l.out.Free()
	l.in.Free()
}
