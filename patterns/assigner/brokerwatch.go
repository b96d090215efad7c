package assigner

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision/liveness"
	"github.com/troupe-mq/troupe/supervision/why"
)

// brokerWatch judges the connection to one broker: a broker whose process or host stands still is given up, and another connection is tried. Heartbeats
// are ZeroMQ's own and need neither side's code. It belongs to the loop.
type brokerWatch struct {
	link  *link
	judge liveness.Judge
	peer  liveness.Peer
	timer *bridge.Timer
	met   time.Duration
	name  string      // of the broker; its endpoint before it has said so
	last  *why.Record // of the last loss
}

type glance struct{} // the judge wants to run

func (w *brokerWatch) begin(r *registrar) {
	w.link, w.name = r.link, r.link.broker
	w.judge, w.peer = liveness.NewJudge(w.link.silence), liveness.Peer{Silence: w.link.silence}
	w.timer = w.link.loop.NewTimer(w.link.pid, &glance{})
	w.meet()
}

// meet begins to judge a fresh connection.
func (w *brokerWatch) meet() {
	w.met = w.link.loop.Now()
	w.peer.Step(w.met, liveness.Event{What: liveness.Met}, nil)
	w.judge.Rest()
	w.judge.Ran(w.met)
	w.timer.Set(w.judge.Deadline())
}

// welcomed takes what the broker says of its heartbeats: where they are rare, its silence is longer.
func (w *brokerWatch) welcomed(info wire.WelcomeInfo) {
	if info.Broker != "" {
		w.name = info.Broker
	}
	w.peer.Step(w.link.loop.Now(), liveness.Event{What: liveness.Lengthened, Limit: 3 * time.Duration(info.HeartbeatMS) * time.Millisecond}, nil)
}

// look runs the judge. The loop has read its sockets before.
func (w *brokerWatch) look() {
	now := w.link.loop.Now()
	if now >= w.judge.Deadline() {
		w.judge.Ran(now)
	}
	for _, f := range w.peer.Step(now, liveness.Event{What: liveness.Ran, Since: w.judge.Since()}, nil) {
		if f.Kind != liveness.Look {
			continue
		}
		silent, known, coarse := w.link.loop.Silent(w.link.ep.Broker())
		e := liveness.Event{What: liveness.Sounded, Since: w.judge.Since(), Silent: silent, Known: known, Coarse: coarse}
		for _, f := range w.peer.Step(now, e, nil) {
			w.frozen(now, f)
			return
		}
	}
	w.timer.Set(max(min(w.judge.Deadline(), w.peer.Deadline()), now+w.judge.Bound/10))
}

// frozen replaces the connection; the registration hears of the loss.
func (w *brokerWatch) frozen(now time.Duration, f liveness.Effect) {
	y := w.record(now, f.Verdict, "transport silence", fmt.Sprintf("the broker at %s has been silent for %v, the limit is %v", w.link.broker, f.Measured.Round(time.Millisecond), f.Limit))
	y.Measure("silent", f.Measured, f.Limit)
	y.Hear(why.Sign{What: "its transport", AgoMS: (now - w.peer.Heard()).Milliseconds()})
	w.last = y
	w.link.logger.Warn("the broker gives no sign of life, its connection is given up", "broker", w.link.broker, "why", string(y.JSON()))
	w.link.ep.Reopen(y.Detector, y.Measured)
}

// lost takes the loss of the connection, of which the bridge has a fresh one already.
func (w *brokerWatch) lost(g *wire.PeerGone) {
	now := w.link.loop.Now()
	if w.peer.State() != liveness.Stopped {
		w.last = w.record(now, liveness.Gone, g.Detector, g.Detail)
	}
	w.peer.Step(now, liveness.Event{What: liveness.Lost}, nil)
	w.meet()
}

func (w *brokerWatch) record(now time.Duration, v liveness.Verdict, detector, measured string) *why.Record {
	return &why.Record{
		Verdict: v.String(), Detector: detector, Measured: measured, Broker: w.name, AgeMS: (now - w.met).Milliseconds(), AtMS: now.Milliseconds(),
		Done: "its hits are lost, but for those that can be resumed; a fresh connection is tried", Knob: "Silence of the client or worker (ClientConfig, WorkerConfig)",
	}
}

// reason returns the record of the loss just told as JSON, nil if it was none of the connection (the broker said BYE).
func (w *brokerWatch) reason() []byte {
	y := w.last
	if w.last = nil; y == nil {
		return nil
	}
	return y.JSON()
}

func (w *brokerWatch) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}
