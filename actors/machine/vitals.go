package machine

import (
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

const (
	byHeartbeat = "its connection stands; ZeroMQ's heartbeats, which its library answers by itself, would have noticed a silence"
	byLoop      = "the broker's loop has answered"
	byStranger  = "this connection does not hold the hit (under this epoch): nothing is told of it"
	byNothing   = "no such hit: it is over, or never was"
)

// vitals answers a PROBE of the hit's client or worker about the other one.
func (h *Hit) vitals(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	v := wire.VitalsInfo{
		Peer: "worker", Alive: true, By: byHeartbeat, WithinMS: h.names.limits.Silence.Milliseconds(), State: h.stateWord(), ProgressMS: h.progress.Sign.Ago(now).Milliseconds(),
	}
	if m.From == h.Worker {
		v.Peer = "client"
		if v.Alive = h.Client != 0 || h.task() != nil; !v.Alive {
			v.By = "its connection is lost, or it has left the hit"
		}
	}
	if under := h.Accepted - h.Answered; under > 0 {
		v.Running, v.RunningMS, v.Queued = h.Answered+1, h.progress.Began.Ago(now).Milliseconds(), int(under-1)
	}
	return append(fx, vitals(m, v))
}

// stateWord is the hit's state as listings show it.
func (h *Hit) stateWord() string {
	if h.adrift() {
		return "adrift"
	}
	return h.State.String()
}

func vitals(m *wire.Message, v wire.VitalsInfo) Effect {
	return send(m.From, wire.Header{Type: wire.Vitals, Hit: m.Header.Hit, Epoch: m.Header.Epoch, Arg: m.Header.Arg}, mustJSON(v))
}

// probed answers a PROBE that no hit's actor takes: about the broker itself, or about a hit that is over.
func probed(m *wire.Message, fx []Effect) []Effect {
	if m.Header.Hit == 0 {
		return append(fx, vitals(m, wire.VitalsInfo{Peer: "broker", Alive: true, By: byLoop}))
	}
	return append(fx, vitals(m, wire.VitalsInfo{Peer: "hit", By: byNothing, State: Ended.String()}))
}

func (h *Hit) vitalsOver(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	return probed(m, fx)
}

// probe answers a client.
func (b *Broker) probe(_ time.Duration, m *wire.Message, fx []Effect) []Effect { return probed(m, fx) }

// probe answers a worker.
func (w *Worker) probe(_ time.Duration, m *wire.Message, fx []Effect) []Effect { return probed(m, fx) }
