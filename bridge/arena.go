package bridge

import (
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// arena is one received batch: messages, their frames, and a count of who still needs the bytes. It belongs to the loop, and the count is not
// atomic: what leaves the loop is copied.
type arena struct {
	loop   *Loop
	in     *zmqsock.In
	msgs   []wire.Message
	frames [][]byte
	used   int // of msgs
	holds  int
	skip   int  // frames before the body: routing id and header, or the header alone
	inOut  bool // the outbox holds it until the next flush
}

func newArena(l *Loop) (*arena, error) {
	in, err := zmqsock.NewIn(l.cfg.Batch)
	if err != nil {
		return nil, err
	}
	a := &arena{loop: l, in: in, msgs: make([]wire.Message, l.cfg.Batch), frames: make([][]byte, 0, l.cfg.Batch*4+64)}
	l.arenas++
	return a, nil
}

// Retain takes a hold. Only the loop's goroutine may call it.
func (a *arena) Retain() { a.holds++ }

// Release gives a hold up; the last one returns the arena for reuse. Only the loop's goroutine may call it.
func (a *arena) Release() {
	a.holds--
	if a.holds > 0 {
		return
	}
	if a.holds < 0 {
		panic("bridge: an arena was released more often than retained")
	}
	if a.loop.closed { // a mailbox held it longer than the loop lived
		a.in.Free()
		a.loop.arenas--
		return
	}
	a.in.Clear(a.loop.cfg.Poison)
	clear(a.msgs[:a.used])
	a.used, a.frames = 0, a.frames[:0]
	a.loop.free = append(a.loop.free, a)
}

// take returns an empty arena with one hold.
func (l *Loop) take() (*arena, error) {
	if n := len(l.free); n > 0 {
		a := l.free[n-1]
		l.free = l.free[:n-1]
		a.holds = 1
		return a, nil
	}
	a, err := newArena(l)
	if err != nil {
		return nil, err
	}
	a.holds = 1
	return a, nil
}

// maxSpare is how many empty arenas are kept beyond a burst.
const maxSpare = 4

func (l *Loop) trim() {
	for len(l.free) > maxSpare {
		n := len(l.free) - 1
		l.free[n].in.Free()
		l.free[n] = nil
		l.free = l.free[:n]
		l.arenas--
	}
}
