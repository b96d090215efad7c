package proxy

import (
	"sync/atomic"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// flow is one direction. It belongs to the loop, but for the counters.
type flow struct {
	name     string
	from, to *station.Port
	waits    bool // for room, as DEALER and PUSH do; the others drop
	least    int  // frames: an answer has somebody to go to
	out      *zmqsock.Out
	in       *zmqsock.In
	taken    []int        // the messages of the batch that are in out
	left     *zmqsock.Out // copies of what nobody has taken yet
	bytes    uint64

	messages, size, sent, dropped, bad atomic.Uint64
}

func newFlow(name string) *flow {
	return &flow{name: name, out: zmqsock.NewOut(), left: zmqsock.NewOut()}
}

// hear takes message i of a batch; false if it is not to be forwarded: half a message is none.
func (f *flow) hear(in *zmqsock.In, i int) bool {
	m := in.Meta(i)
	if m.Dropped > 0 || m.Frames < f.least {
		f.bad.Add(1)
		return false
	}
	f.in, f.taken, f.bytes = in, append(f.taken, i), f.bytes+uint64(m.Size)
	f.out.Add(f.to.Sock, nil, false)
	f.out.Forward(in, i, 0)
	return true
}

// relayed is how many messages are passed on before the other side has its turn.
const relayed = 256

// relay passes on what waits, where nobody wants a copy.
func (f *flow) relay(in *zmqsock.In) (int, error) {
	if f.blocked() {
		return 0, nil
	}
	r, err := in.Relay(f.from.Sock, f.to.Sock, relayed, f.least, f.waits)
	f.messages.Add(uint64(r.Taken))
	f.size.Add(r.Bytes)
	f.sent.Add(uint64(r.Sent))
	f.dropped.Add(uint64(r.Dropped))
	f.bad.Add(uint64(r.Bad))
	if r.Held {
		f.in = in
		f.keep([]int{in.Len() - 1})
	}
	return r.Taken + r.Bad, err
}

// blocked reports whether what was taken waits for room.
func (f *flow) blocked() bool { return f.left.Left() > 0 }

// send sends what was taken, and returns how much that was.
func (f *flow) send() int {
	did := f.retry()
	n := f.out.Len()
	if n == 0 {
		return did
	}
	f.messages.Add(uint64(n))
	f.size.Add(f.bytes)
	if f.waits {
		gone, err := f.out.SendSome()
		f.sent.Add(uint64(gone))
		if err != nil {
			f.keep(f.taken[gone:])
		}
	} else {
		refused := f.out.Send()
		f.sent.Add(uint64(n - refused))
		f.dropped.Add(uint64(refused))
	}
	f.out.Reset()
	f.taken, f.bytes = f.taken[:0], 0
	return did + n
}

// keep copies what nobody takes now: the batch is about to be used again.
func (f *flow) keep(messages []int) {
	var frames [][]byte
	for _, i := range messages {
		f.left.Add(f.to.Sock, nil, false)
		frames = f.in.Frames(i, frames[:0])
		for _, b := range frames {
			f.left.Append(b)
		}
	}
}

// retry sends what was kept.
func (f *flow) retry() int {
	if !f.blocked() {
		return 0
	}
	before := f.left.Left()
	_, err := f.left.SendSome()
	did := before - f.left.Left()
	if f.sent.Add(uint64(did)); err == nil {
		f.left.Reset()
	}
	return did
}

// free gives all back, and returns how much nobody has taken.
func (f *flow) free() int {
	n := f.left.Left()
	f.dropped.Add(uint64(n))
	f.out.Free()
	f.left.Free()
	return n
}

func (f *flow) stats() Flow {
	return Flow{Messages: f.messages.Load(), Bytes: f.size.Load(), Sent: f.sent.Load(), Dropped: f.dropped.Load(), Bad: f.bad.Load()}
}
