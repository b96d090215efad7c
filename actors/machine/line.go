package machine

import (
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/actors/prio"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision/liveness"
)

// line is a connection that the broker judges: that of a worker, or of a client that promises heartbeats.
type line struct {
	to     wire.Peer
	peer   liveness.Peer
	worker *Worker // nil: a client's
	client *client
	since  time.Duration // when it was registered
	looked time.Duration // when its transport was looked at last
	at     time.Duration // when it is looked at next
	index  int           // in the heap, -1 when out
	why    *Why          // FROZEN was given, and its connection is being ended
}

// silenceKnob is what changes the limit of FROZEN.
const silenceKnob = "silence of the broker (--silence), and a longer one that the peer asks for (silence_ms, WorkerConfig.Silence)"

// judge begins to judge a connection. asked is the limit that the peer asks for, 0 for the broker's.
func (b *Broker) judgeLine(now time.Duration, l *line, asked time.Duration) *line {
	if b.lines.Len() == 0 {
		b.judge.Rest()
	}
	l.peer.Silence, l.since, l.looked, l.index = b.cfg.Silence, now, now, -1
	l.peer.Step(now, liveness.Event{What: liveness.Lengthened, Limit: asked}, nil)
	l.peer.Step(now, liveness.Event{What: liveness.Met}, nil)
	if b.cfg.Judges {
		b.plan(l)
	}
	return l
}

// plan puts a line where its deadline belongs.
func (b *Broker) plan(l *line) {
	l.at = l.peer.Deadline()
	if l.at == 0 {
		b.lines.Remove(l)
	} else {
		b.lines.Fix(l)
	}
}

// judgeLines looks at the connections that are due, and at a pulse at those that will be before the next one: of these only the silent ones need a look of
// their own when they are due. The loop has read its sockets before.
func (b *Broker) judgeLines(now, ahead time.Duration, fx []Effect) []Effect {
	ran := liveness.Event{What: liveness.Ran, Since: b.judge.Since()}
	for b.lines.Len() > 0 && b.lines.First().at <= ahead {
		l := b.lines.First()
		if l.at <= now {
			l.peer.Step(now, ran, nil)
		}
		fx = append(fx, Effect{Kind: Sound, To: l.to})
		l.at = ahead + b.judge.Every // until Sounded, which follows, knows better
		b.lines.Fix(l)
	}
	return fx
}

// Sounded takes what the host has measured of a connection, as Sound wanted.
func (b *Broker) Sounded(now time.Duration, to wire.Peer, silent time.Duration, known, coarse bool, fx []Effect) []Effect {
	l := b.lineOf(to)
	if l == nil {
		return fx
	}
	l.looked = now
	e := liveness.Event{What: liveness.Sounded, Since: b.judge.Since(), Silent: silent, Known: known, Coarse: coarse}
	for _, f := range l.peer.Step(now, e, nil) {
		if f.Verdict == liveness.Frozen {
			fx = b.frozen(now, l, f, fx)
		}
	}
	b.plan(l)
	return fx
}

func (b *Broker) lineOf(to wire.Peer) *line {
	if w := b.workers[to]; w != nil {
		return w.line
	}
	if c := b.clients[to]; c != nil {
		return c.line
	}
	return nil
}

// frozen ends the connection of a peer that gives no sign of life. Its loss follows, and says why.
func (b *Broker) frozen(now time.Duration, l *line, f liveness.Effect, fx []Effect) []Effect {
	l.why = l.verdict(now, f, "transport silence")
	l.why.Measure("silent", f.Measured, f.Limit)
	l.why.Hear(sign("its transport", now-l.peer.Heard()))
	l.why.Measured = fmt.Sprintf("its transport has been silent for %v, the limit is %v", f.Measured.Round(time.Millisecond), f.Limit)
	l.why.Done = "its connection was ended; " + doneLost
	return append(fx, Effect{Kind: HangUp, To: l.to, Text: l.why.Measured, Event: l.why})
}

const doneLost = "its hits were told, its slots are no longer counted"

// verdict begins the record of a verdict about a connection.
func (l *line) verdict(now time.Duration, f liveness.Effect, detector string) *Why {
	y := &Why{Verdict: f.Verdict.String(), Detector: detector, Done: doneLost, Knob: silenceKnob, AgeMS: (now - l.since).Milliseconds(), AtMS: now.Milliseconds()}
	if l.worker != nil {
		y.Worker = l.worker.Name
	} else {
		y.Client = l.client.name
	}
	return y
}

// lost takes the loss of the connection and returns the record: FROZEN where that was the reason, else GONE.
func (l *line) lost(now time.Duration, g *wire.PeerGone) Why {
	if l.why != nil {
		return *l.why
	}
	y := l.verdict(now, liveness.Effect{Verdict: liveness.Gone}, g.Detector)
	y.Measured = g.Detail
	for _, f := range l.peer.Step(now, liveness.Event{What: liveness.Lost}, nil) {
		y.Hear(sign("a look found its transport alive, or it registered,", f.Measured))
	}
	if g.Silent > 0 {
		y.Hear(sign("a message that was no call", g.Silent))
	}
	return *y
}

// newLines returns a queue of connections: what is due first is looked at first.
func newLines() prio.Queue[*line] {
	return prio.New(func(a, b *line) bool { return a.at < b.at }, func(l *line) *int { return &l.index })
}
