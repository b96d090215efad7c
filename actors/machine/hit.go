package machine

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision/liveness"
	"github.com/troupe-mq/troupe/supervision/why"
)

// State is where a hit stands (hit.md, section 8). Waiting hits have no machine yet: they are entries of a queue.
type State uint8

// The states of a hit.
const (
	Opening State = iota
	Open
	Aborting // closed before it was opened: the worker may still fail to open it
	Closing
	Ended
	Moving // its worker is lost to it, and another one is to take it up (hit.md, section 17)
	states
)

// String returns the specification's word.
func (s State) String() string {
	return [...]string{"opening", "open", "aborting", "closing", "over", "moving"}[s]
}

// Hit is the machine of one hit at the broker: it stands between one client and one slot of one worker, and passes every
// message of theirs. Its fields may be read by whoever runs on the same loop.
type Hit struct {
	Handle      uint64
	Ref         uint64    // the client's reference
	Client      wire.Peer // 0 when it has left, or has been told the end
	Worker      wire.Peer
	Attachment  uint32 // epoch of the client's leg
	Assignment  uint32 // epoch of the worker's leg
	Accepted    uint32 // seq of the last call passed on
	Answered    uint32 // seq of the last call answered
	LastSeq     uint32 // seq of the call that closes the hit, 0 if none
	Thread      uint32 // OS thread that serves it
	State       State
	OneShot     bool
	hears       bool          // answers go to the client: it has got OPENED, or is a one-shot's
	orphan      bool          // its actor crashed, and the worker has not ended the session yet
	undelivered bool          // its BEGIN could not be passed on
	reason      wire.Status   // what CLOSED will say when the worker has ended
	changes     uint32        // the worker's when it was given this hit
	runner      uint32        // its place among those that may run a call, from 1; 0: it is not there
	progress    liveness.Call // of its thread: OPENED, WORKING, PART and answers are the signs
	Opened      time.Duration
	tag         *tag  // nil for most
	keep        *keep // what outlives its client, nil for most hits
	redo        *redo // what outlives its worker, nil where nothing does
	names       *Names
	flow        *flow   // of bodies in parts; nil until there is one
	client      *client // the broker's, as are the three below
	worker      *Worker
	direct      *direct // nil: its calls come by here
	links       [3]link
}

// Limits are what a broker allows a hit; shared by all its hits.
type Limits struct {
	Calls   uint32        // calls under way at once
	Silence time.Duration // a silence of a connection longer than this is noticed
	running runners       // that may run a call
	judges  bool          // somebody looks at those
	moves   int           // how often a hit may go to another worker
	redoHit int           // bytes kept per hit, so that it can
	redo    int           // bytes that all hits together may still keep
	store   *why.Store
	diary   diary
}

// Names are what a hit says about itself in errors; shared by all hits of one worker and service.
type Names struct {
	Service string
	Worker  string
	member  uint32 // its registration
	limits  *Limits
	lease   time.Duration // how long a call may give no sign, 0: for ever
	repair  repair        // what is done about a call that is stuck

	begun  uint64        // hits that were given a slot
	waited time.Duration // for how long those had waited for it, together
	ended  uint64        // hits that are over
	held   time.Duration // for how long those had a slot, together
}

// Lost is an event: the client's or the worker's connection is gone.
type Lost struct {
	Worker bool // the worker's, else the client's
	Final  bool // a client that will not come back, even to a hit that is kept for it
	Why    Why
	Until  time.Duration // a direct hit may be served that long
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
	onNothing event = iota // the type names no hit
	onCall
	onCancel
	onClose
	onOpened
	onReply
	onError
	onWorking
	onEnded
	onResume
	onAck
	onProbe
	events
)

type handler func(*Hit, time.Duration, *wire.Message, []Effect) []Effect

// table is the state table of hit.md, section 8.
var table = [states][events]handler{
	Opening: {
		onCall: (*Hit).earlyCall, onCancel: (*Hit).passCancel, onClose: (*Hit).closeOpening, onOpened: (*Hit).opened,
		onReply: (*Hit).replyOpening, onError: (*Hit).errorOpening, onWorking: (*Hit).working, onEnded: (*Hit).endedOpening,
		onResume: (*Hit).unknown, onAck: (*Hit).acknowledge, onProbe: (*Hit).vitals,
	},
	Open: {
		onCall: (*Hit).call, onCancel: (*Hit).passCancel, onClose: (*Hit).close, onOpened: (*Hit).stray,
		onReply: (*Hit).answer, onError: (*Hit).failure, onWorking: (*Hit).working, onEnded: (*Hit).ended,
		onResume: (*Hit).resume, onAck: (*Hit).acknowledge, onProbe: (*Hit).vitals,
	},
	Aborting: {
		onCall: (*Hit).lateCall, onCancel: (*Hit).passCancel, onClose: (*Hit).ignore, onOpened: (*Hit).openedLate,
		onReply: (*Hit).replyOpening, onError: (*Hit).errorOpening, onWorking: (*Hit).working, onEnded: (*Hit).ended,
		onResume: (*Hit).unknown, onAck: (*Hit).acknowledge, onProbe: (*Hit).vitals,
	},
	Closing: {
		onCall: (*Hit).lateCall, onCancel: (*Hit).passCancel, onClose: (*Hit).ignore, onOpened: (*Hit).reopened,
		onReply: (*Hit).answer, onError: (*Hit).failure, onWorking: (*Hit).working, onEnded: (*Hit).ended,
		onResume: (*Hit).resume, onAck: (*Hit).acknowledge, onProbe: (*Hit).vitals,
	},
	Ended: {
		onCall: (*Hit).unknown, onCancel: (*Hit).unknown, onClose: (*Hit).unknown, onOpened: (*Hit).unknown,
		onReply: (*Hit).unknown, onError: (*Hit).unknown, onWorking: (*Hit).unknown, onEnded: (*Hit).unknown,
		onResume: (*Hit).unknown, onAck: (*Hit).ignore, onProbe: (*Hit).vitalsOver,
	},
	Moving: {
		onCall: (*Hit).callMoving, onCancel: (*Hit).cancelMoving, onClose: (*Hit).closeMoving, onOpened: (*Hit).ignore,
		onReply: (*Hit).ignore, onError: (*Hit).ignore, onWorking: (*Hit).ignore, onEnded: (*Hit).ignore,
		onResume: (*Hit).resume, onAck: (*Hit).acknowledge, onProbe: (*Hit).vitals,
	},
}

// column says which event a message type is, and which side may send it.
type column struct {
	event  event
	worker bool
}

var columns = [256]column{
	wire.Call: {onCall, false}, wire.Cancel: {onCancel, false}, wire.Close: {onClose, false},
	wire.Opened: {onOpened, true}, wire.Reply: {onReply, true}, wire.Error: {onError, true},
	wire.Working: {onWorking, true}, wire.Ended: {onEnded, true}, wire.Tally: {onNothing, true}, wire.Hold: {onNothing, true},
	wire.Resume: {onResume, false}, wire.Ack: {onAck, false}, wire.Probe: {onProbe, false},
}

// Message takes a message that names this hit.
func (h *Hit) Message(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	c := columns[m.Header.Type]
	from, epoch := h.Client, h.Attachment
	if c.worker {
		from, epoch = h.Worker, h.Assignment
	}
	if m.From != from || checksEpoch && m.Header.Epoch != epoch || c.event == onNothing {
		return h.odd(now, m, c, fx)
	}
	return table[h.State][c.event](h, now, m, fx)
}

// odd takes what does not come from the hit's own peer under the leg's epoch. A client may speak by its reference, until it has got the handle.
func (h *Hit) odd(now time.Duration, m *wire.Message, c column, fx []Effect) []Effect {
	from, source := h.Client, "OPENED"
	if c.worker {
		from, source = h.Worker, "BEGIN"
	}
	switch {
	case m.Header.Type == wire.Tally && m.From == from && m.Header.Epoch == h.Assignment:
		return h.tally(now, m, fx)
	case h.redo != nil && h.redo.left(m) != nil:
		return h.staleWord(m, fx)
	case m.Header.Type == wire.Hold && m.From == from && m.Header.Epoch == h.Assignment:
		return h.hold(now, m, fx)
	case c.event == onResume: // from the broker, who has seen the key
		return table[h.State][onResume](h, now, m, fx)
	case c.event == onAck && h.Client == 0 && h.heldBy(m):
		return h.acknowledge(now, m, fx) // of what told it the end
	case c.event == onProbe && m.From == h.Worker && m.Header.Epoch == h.Assignment:
		return table[h.State][onProbe](h, now, m, fx)
	case c.event == onProbe:
		return append(fx, vitals(m, wire.VitalsInfo{Peer: "hit", By: byStranger}))
	case c.event == onNothing && (m.Header.Type == wire.Part || m.Header.Type == wire.Credit):
		return h.oddStream(now, m, fx)
	case c.event == onNothing && !c.worker:
		return refuse(fx, m, wire.BadType, "%v does not name a hit: leave its hit field zero", m.Header.Type)
	case h.keep != nil && !c.worker && m.Header.Epoch != h.Attachment && !m.Header.Flags.Has(wire.Ref):
		return refuse(fx, m, wire.StaleEpoch, "%v of hit %x under epoch %d, but the present attachment is %d: another connection has taken the hit up",
			m.Header.Type, h.Handle, m.Header.Epoch, h.Attachment)
	case m.From != from && !c.worker && h.adrift():
		return refuse(fx, m, wire.NotOwner, "hit %x is adrift: RESUME it with its key first", h.Handle)
	case m.From != from && !c.worker && h.Client == 0 && m.From == h.client.peer:
		return unknownHit(m, fx) // it has been told the end, and this was on its way
	case m.From != from:
		return refuse(fx, m, wire.NotOwner, "hit %x belongs to another connection: use the handle only where %s brought it", h.Handle, source)
	case !c.worker && m.Header.Flags.Has(wire.Ref):
		if h.hears && !h.OneShot {
			return fx // OPENED is on its way and tells the handle
		}
		return table[h.State][c.event](h, now, m, fx)
	}
	return refuse(fx, m, wire.StaleEpoch, "%v of hit %x under epoch %d, which is over: take the epoch from %s",
		m.Header.Type, h.Handle, m.Header.Epoch, source)
}

// oddStream takes PART and CREDIT, which come from either side.
func (h *Hit) oddStream(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	switch {
	case m.From == h.Worker && m.Header.Epoch == h.Assignment, m.From == h.Client && m.Header.Epoch == h.Attachment:
		if h.State == Moving {
			return fx // it has crossed a refusal, or the answer
		}
		return h.stream(now, m, fx)
	case m.From == h.Worker:
		return h.odd(now, m, column{onReply, true}, fx)
	}
	return h.odd(now, m, column{onCall, false}, fx)
}

// unknown takes what comes when the hit is over.
func (h *Hit) unknown(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	return unknownHit(m, fx)
}

// Begin takes the OPEN that the hit was made for.
func (h *Hit) Begin(now time.Duration, m *wire.Message, arg uint32, fx []Effect) []Effect {
	h.progress.Begin(now, 0)
	h.watch()
	if h.direct != nil {
		return h.beginDirect(m, arg, fx)
	}
	head := wire.Header{Type: wire.Begin, Flags: m.Header.Flags & (wire.First | wire.Last), Hit: h.Handle, Epoch: h.Assignment, Arg: arg}
	if head.Flags.Has(wire.First) {
		head.Seq = 1
		h.Accepted = 1
	}
	if head.Flags.Has(wire.Last) {
		h.OneShot, h.hears, h.LastSeq = true, h.task() == nil, 1
	}
	return append(fx, Effect{Kind: Forward, To: h.Worker, Header: head, Msg: m})
}

// toClient is the header of a message on the client's leg.
func (h *Hit) toClient(t wire.Type, seq uint32) wire.Header {
	if h.OneShot {
		return wire.Header{Type: t, Flags: wire.Ref, Hit: h.Ref, Epoch: h.names.member, Seq: seq}
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

// Label is what its client calls it.
func (h *Hit) Label() string {
	if h.tag == nil {
		return ""
	}
	return h.tag.label
}

// tag is what few hits have: a label, and the task that they serve.
type tag struct {
	label string
	task  *task
	told  bool // the broker knows the answer of that
}

// task returns the task that the hit serves, nil for most.
func (h *Hit) task() *task {
	if h.tag == nil {
		return nil
	}
	return h.tag.task
}

// age returns how long the hit has lived, in words.
func (h *Hit) age(now time.Duration) string {
	return fmt.Sprint((now - h.Opened).Round(time.Millisecond))
}
