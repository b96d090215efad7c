package machine

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// State is where a hit stands (hit.md, section 8). Waiting hits have no machine yet: they are entries of a queue.
type State uint8

// The states of a hit.
const (
	Opening State = iota
	Open
	Closing
	Ended
	states
)

// String returns the specification's word.
func (s State) String() string { return [...]string{"opening", "open", "closing", "over"}[s] }

// Hit is the machine of one hit at the broker: it stands between one client and one slot of one worker, and passes every
// message of theirs. Its fields may be read by whoever runs on the same loop.
type Hit struct {
	Handle     uint64
	Ref        uint64 // the client's reference
	Client     wire.Peer
	Worker     wire.Peer
	Attachment uint32 // epoch of the client's leg
	Assignment uint32 // epoch of the worker's leg
	State      State
	OneShot    bool
	Accepted   uint32 // seq of the last call passed on
	Answered   uint32 // seq of the last call answered
	LastSeq    uint32 // seq of the call that closes the hit, 0 if none
	Thread     uint32 // OS thread that serves it
	Opened     time.Duration
	Label      string
	told       bool        // the client has got OPENED
	reason     wire.Status // what CLOSED will say when the worker has ended
	limits     *Limits
	names      *Names
	client     *client // the broker's, as are the three below
	worker     *Worker
	links      [3]link
}

// Limits are what a broker allows a hit; shared by all its hits.
type Limits struct {
	Calls uint32 // calls under way at once
}

// Names are what a hit says about itself in errors; shared by all hits of one worker and service.
type Names struct {
	Service string
	Worker  string
}

// Lost is an event: the client's or the worker's connection is gone.
type Lost struct {
	Worker bool // the worker's, else the client's
	Why    Why
}

// Kill is an event: an operator ends the hit.
type Kill struct{ By string }

// Undelivered is an event: a call could not be passed on to the worker.
type Undelivered struct {
	Msg    *wire.Message
	Status wire.Status // WorkerGone or PeerSlow
	Cause  error
}

// event numbers the columns of the table.
type event uint8

const (
	onCall event = iota
	onCancel
	onClose
	onOpened
	onAnswer
	onWorking
	onEnded
	events
)

type handler func(*Hit, time.Duration, *wire.Message, []Effect) []Effect

// table is the state table of hit.md, section 8.
var table = [states][events]handler{
	Opening: {onCall: (*Hit).earlyCall, onCancel: (*Hit).passCancel, onClose: (*Hit).closeOpening,
		onOpened: (*Hit).opened, onAnswer: (*Hit).answer, onWorking: (*Hit).working, onEnded: (*Hit).endedOpening},
	Open: {onCall: (*Hit).call, onCancel: (*Hit).passCancel, onClose: (*Hit).close,
		onOpened: (*Hit).stray, onAnswer: (*Hit).answer, onWorking: (*Hit).working, onEnded: (*Hit).ended},
	Closing: {onCall: (*Hit).lateCall, onCancel: (*Hit).passCancel, onClose: (*Hit).ignore,
		onOpened: (*Hit).ignore, onAnswer: (*Hit).answer, onWorking: (*Hit).working, onEnded: (*Hit).ended},
	Ended: {onCall: (*Hit).lateCall, onCancel: (*Hit).ignore, onClose: (*Hit).ignore,
		onOpened: (*Hit).ignore, onAnswer: (*Hit).stray, onWorking: (*Hit).ignore, onEnded: (*Hit).ignore},
}

// column says which event a message type is, and which side may send it.
type column struct {
	event  event
	worker bool
	known  bool
}

var columns = [256]column{
	wire.Call: {onCall, false, true}, wire.Cancel: {onCancel, false, true}, wire.Close: {onClose, false, true},
	wire.Opened: {onOpened, true, true}, wire.Reply: {onAnswer, true, true}, wire.Error: {onAnswer, true, true},
	wire.Working: {onWorking, true, true}, wire.Ended: {onEnded, true, true},
}

// Message takes a message that names this hit.
func (h *Hit) Message(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	c := &columns[m.Header.Type]
	switch {
	case !c.known:
		return refuse(fx, m, wire.BadType, "%v does not name a hit: leave its hit field zero", m.Header.Type)
	case c.worker && m.From != h.Worker, !c.worker && m.From != h.Client:
		return refuse(fx, m, wire.NotOwner, "hit %x belongs to another connection: use the handle only where OPENED brought it", h.Handle)
	case c.worker && m.Header.Epoch != h.Assignment, !c.worker && m.Header.Epoch != h.Attachment && !m.Header.Flags.Has(wire.Ref):
		return refuse(fx, m, wire.StaleEpoch, "%v of hit %x under epoch %d, which is over: take the epoch from %v",
			m.Header.Type, h.Handle, m.Header.Epoch, map[bool]string{true: "BEGIN", false: "OPENED"}[c.worker])
	}
	return table[h.State][c.event](h, now, m, fx)
}

// Begin takes the OPEN that the hit was made for.
func (h *Hit) Begin(_ time.Duration, m *wire.Message, arg uint32, fx []Effect) []Effect {
	head := wire.Header{Type: wire.Begin, Flags: m.Header.Flags & (wire.First | wire.Last), Hit: h.Handle, Epoch: h.Assignment, Arg: arg}
	if head.Flags.Has(wire.First) {
		head.Seq = 1
		h.Accepted = 1
	}
	if head.Flags.Has(wire.Last) {
		h.OneShot, h.LastSeq = true, 1
	}
	return append(fx, Effect{Kind: Forward, To: h.Worker, Header: head, Msg: m})
}

// toClient is the header of a message on the client's leg.
func (h *Hit) toClient(t wire.Type, seq uint32) wire.Header {
	if h.OneShot {
		return wire.Header{Type: t, Flags: wire.Ref, Hit: h.Ref, Seq: seq}
	}
	return wire.Header{Type: t, Hit: h.Handle, Epoch: h.Attachment, Seq: seq}
}

func (h *Hit) toWorker(t wire.Type, seq uint32) wire.Header {
	return wire.Header{Type: t, Hit: h.Handle, Epoch: h.Assignment, Seq: seq}
}

// over ends the hit; it is the last effect of a hit.
func (h *Hit) over(s wire.Status, fx []Effect) []Effect {
	h.State = Ended
	return append(fx, Effect{Kind: Over, Hit: h, Status: s})
}

// age returns how long the hit has lived, in words.
func (h *Hit) age(now time.Duration) string {
	return fmt.Sprint((now - h.Opened).Round(time.Millisecond))
}
