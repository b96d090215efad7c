package machine

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/actors/schedule"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// WorkerState is where a worker's session at the broker stands.
type WorkerState uint8

// The states of a worker.
const (
	Serving WorkerState = iota
	Asked               // another worker claims its name: it has been asked whether it lives
	Leaving             // it takes no new hits
	Gone                // its connection is lost
)

// String returns the state in one word.
func (s WorkerState) String() string { return [...]string{"serving", "asked", "leaving", "gone"}[s] }

// Worker is the machine of one worker's connection: it hears of slots and liveness, not of calls. Its exported fields may be read by
// whoever runs on the same loop.
type Worker struct {
	Peer     wire.Peer
	Name     string
	Info     wire.ReadyInfo
	Load     schedule.Load
	State    WorkerState
	Since    time.Duration // when it registered
	Served   uint64        // hits given to it
	member   uint32        // names this registration among all of its broker's
	welcome  []byte
	rival    *wire.Message // READY of the one that claims the name, owning its bytes
	deadline time.Duration // until when the answer is awaited
	ask      time.Duration
	line     *line         // its connection, as the broker judges it
	left     bool          // it has said BYE
	granted  time.Duration // when its lease for direct hits was prolonged last, 0: never
	deaf     bool          // it did not read, so it gets no hits until it has ended one
	busy     int           // slots still held by hits of an earlier connection
	told     int           // slots, as the worker has said, and with those it was asked to make since
	most     int           // how many there can be, as it has said
	changes  uint32        // how often it has said so
	zombies  int           // threads of it that have not come back
	entries  []*schedule.Entry[*Worker]
	services []*service
	names    map[string]*Names
	behind   map[uint64]behind // sessions that it still has, of hits that have left it
	hits     hits
}

// WorkerDown, WorkerLeaves, SlotFreed, Orphaned, Confirmed and Yielded are what a worker reports to its broker.
type (
	// WorkerDown says that the worker's connection is lost.
	WorkerDown struct {
		Worker *Worker
		Why    Why
	}
	// WorkerLeaves says that the worker takes no new hits.
	WorkerLeaves struct{ Worker *Worker }
	// SlotFreed says that a slot held by an earlier connection is free.
	SlotFreed struct{ Worker *Worker }
	// Orphaned says that the worker has ended a hit that has no actor any more.
	Orphaned struct {
		Worker *Worker
		Handle uint64
	}
	// Confirmed says that the worker lives, so that its rival must take another name.
	Confirmed struct {
		Worker *Worker
		Rival  *wire.Message
	}
	// Yielded says that the worker did not answer: its rival takes its place.
	Yielded struct {
		Worker *Worker
		Rival  *wire.Message
		Why    Why
	}
)

// Challenge is an event: another connection claims the worker's name.
type Challenge struct{ Rival *wire.Message }

var workerTable = [256]func(*Worker, time.Duration, *wire.Message, []Effect) []Effect{
	wire.Ready: (*Worker).again, wire.Pong: (*Worker).pong, wire.Bye: (*Worker).bye, wire.Ended: (*Worker).ended, wire.Changed: (*Worker).changed,
	wire.Opened: (*Worker).unknown, wire.Reply: (*Worker).unknown, wire.Working: (*Worker).unknown, wire.Error: (*Worker).complaint,
	wire.Renew: (*Worker).renew, wire.Tally: (*Worker).unknown, wire.Hold: (*Worker).late, wire.Probe: (*Worker).probe,
	wire.Vitals: (*Worker).vitals, wire.Part: (*Worker).unknown, wire.Credit: (*Worker).unknown,
}

// Message takes a message of the worker that names no hit with an actor.
func (w *Worker) Message(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	if f := workerTable[m.Header.Type]; f != nil {
		return f(w, now, m, fx)
	}
	return refuse(fx, m, wire.BadType, "%v is not for workers: see who says what in docs/protocol/hit.md, section 3", m.Header.Type)
}

// again answers a second READY on the same connection: nothing changes.
func (w *Worker) again(_ time.Duration, _ *wire.Message, fx []Effect) []Effect {
	return append(fx, send(w.Peer, wire.Header{Type: wire.Welcome}, w.welcome))
}

// Challenge asks the worker whether it lives, because another one claims its name. A further rival meanwhile is refused.
func (w *Worker) Challenge(now time.Duration, c *Challenge, fx []Effect) []Effect {
	if w.State == Gone {
		return append(fx, Effect{Kind: Report, Event: &Yielded{Worker: w, Rival: c.Rival, Why: Why{Verdict: "GONE", Detector: "disconnected"}}})
	}
	if w.State == Asked && w.rival.From == c.Rival.From {
		return fx // it will be answered
	}
	if w.State == Asked {
		return append(fx, Effect{Kind: Report, Event: &Confirmed{Worker: w, Rival: c.Rival}})
	}
	w.State, w.rival, w.deadline = Asked, c.Rival, now+w.ask
	return append(fx, send(w.Peer, wire.Header{Type: wire.Ping}))
}

// pong: the worker lives.
func (w *Worker) pong(_ time.Duration, _ *wire.Message, fx []Effect) []Effect {
	if w.State != Asked {
		return fx
	}
	rival := w.rival
	w.calm()
	return append(fx, Effect{Kind: Report, Event: &Confirmed{Worker: w, Rival: rival}})
}

func (w *Worker) calm() {
	w.State, w.rival, w.deadline = Serving, nil, 0
	if w.left {
		w.State = Leaving
	}
}

// Deadline says when Tick wants to be called, 0 for never.
func (w *Worker) Deadline() time.Duration { return w.deadline }

// Tick yields the name when the worker has not answered in time.
func (w *Worker) Tick(now time.Duration, fx []Effect) []Effect {
	if w.State != Asked || now < w.deadline {
		return fx
	}
	rival := w.rival
	w.calm()
	w.State = Gone
	why := Why{
		Verdict: "GONE", Detector: "name claimed", Done: "the new one took its place",
		Measured: fmt.Sprintf("a new worker claimed the name %s, and the old one did not answer a PING within %v", w.Name, w.ask),
	}
	return append(fx, Effect{Kind: Report, Event: &Yielded{Worker: w, Rival: rival, Why: why}},
		Effect{Kind: HangUp, To: w.Peer, Text: "replaced"})
}

// bye: the worker takes no new hits; the open ones go on.
func (w *Worker) bye(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	if w.State == Gone {
		return fx
	}
	fx = w.pong(now, m, fx) // who says BYE lives
	w.State, w.left = Leaving, true
	return append(fx, Effect{Kind: Report, Event: &WorkerLeaves{w}})
}

// ended: a slot is free that no living hit holds: of an earlier connection (hit 0), or of a hit whose actor crashed.
func (w *Worker) ended(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	if m.Header.Hit == 0 && w.busy == 0 {
		return refuse(fx, m, wire.BadSeq, noneBusy)
	}
	if m.Header.Hit == 0 {
		w.busy--
		return append(fx, Effect{Kind: Report, Event: &SlotFreed{w}})
	}
	return append(fx, Effect{Kind: Report, Event: &Orphaned{w, m.Header.Hit}})
}

// unknown: the worker speaks of a hit that is over, or never was.
func (w *Worker) unknown(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	if m.Header.Flags.Has(wire.Last) {
		fx = append(fx, Effect{Kind: Report, Event: &Orphaned{w, m.Header.Hit}})
	}
	if l, ok := w.behind[m.Header.Hit]; ok {
		return l.remains(m, fx)
	}
	return unknownHit(m, fx)
}

// late drops what crosses the end of a hit in good faith.
func (w *Worker) late(_ time.Duration, _ *wire.Message, fx []Effect) []Effect { return fx }

// complaint: the worker did not like something of ours. Without a seq it may be the refusal of a BEGIN.
func (w *Worker) complaint(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	if m.Header.Hit != 0 && (m.Header.Flags.Has(wire.Last) || m.Header.Seq == 0) {
		fx = append(fx, Effect{Kind: Report, Event: &Orphaned{w, m.Header.Hit}})
	}
	if l, ok := w.behind[m.Header.Hit]; ok {
		return l.remains(m, fx)
	}
	return append(fx, Effect{Kind: Count, Status: m.Header.Status})
}

// Lose takes the loss of the worker's connection.
func (w *Worker) Lose(now time.Duration, g *wire.PeerGone, fx []Effect) []Effect {
	if w.State == Gone {
		return fx
	}
	rival := w.rival
	w.calm()
	w.State = Gone
	why := w.line.lost(now, g)
	fx = append(fx, Effect{Kind: Report, Event: &WorkerDown{w, why}})
	if rival != nil {
		fx = append(fx, Effect{Kind: Report, Event: &Yielded{w, rival, why}})
	}
	return fx
}
