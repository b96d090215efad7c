package machine

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// HitAlive is the answer to hit.alive: what a PROBE would tell either side of the hit about the other one.
type HitAlive struct {
	Hit        string          `json:"hit"`
	Service    string          `json:"service"`
	WorkerName string          `json:"worker_name"`
	ClientName string          `json:"client_name"`
	Worker     wire.VitalsInfo `json:"worker"`
	Client     wire.VitalsInfo `json:"client"`
}

// WorkerAlive is the answer to worker.alive.
type WorkerAlive struct {
	Name       string     `json:"worker"`
	Alive      bool       `json:"alive"`
	By         string     `json:"by"`
	WithinMS   int64      `json:"within_ms"`
	State      string     `json:"state"`
	Used       int        `json:"used"`
	ProgressMS int64      `json:"progress_ms"` // since any of its hits gave a sign; -1 without hits
	Running    int        `json:"running"`     // hits with a call under way
	LongestMS  int64      `json:"longest_ms"`  // how long the longest of them has been running
	Hits       []HitAlive `json:"hits"`        // at most a page
}

func (b *Broker) hitAlive(now time.Duration, r AdminRequest) any {
	handle, err := strconv.ParseUint(r.Hit, 16, 64)
	h := b.byHandle[handle]
	if err != nil || h == nil || h.State == Ended {
		return fail("no hit has the handle %q: see `troupe hit list`", r.Hit)
	}
	return b.aliveOf(now, h)
}

func (b *Broker) aliveOf(now time.Duration, h *Hit) HitAlive {
	row := b.hitRow(now, h)
	return HitAlive{
		Hit: row.Hit, Service: row.Service, WorkerName: row.Worker, ClientName: row.Client,
		Worker: h.vitalsFor(now, h.Client), Client: h.vitalsFor(now, h.Worker),
	}
}

// vitalsFor is what the hit tells this side of the other one.
func (h *Hit) vitalsFor(now time.Duration, side wire.Peer) (v wire.VitalsInfo) {
	fx := h.vitals(now, &wire.Message{From: side}, nil)
	if err := json.Unmarshal(fx[0].Frames[0], &v); err != nil {
		panic("machine: VITALS that cannot be read: " + err.Error())
	}
	return v
}

func (b *Broker) workerAlive(now time.Duration, r AdminRequest) any {
	w := b.names[r.Worker]
	if w == nil || b.workers[w.Peer] != w {
		return fail("no worker has the name %q: see `troupe worker list`", r.Worker)
	}
	a := WorkerAlive{
		Name: w.Name, Alive: true, By: byHeartbeat, WithinMS: b.limits.Silence.Milliseconds(), State: w.State.String(), Used: w.Load.Used, ProgressMS: -1,
		Hits: []HitAlive{},
	}
	w.hits.each(func(h *Hit) {
		if h.State == Ended {
			return
		}
		v := h.vitalsFor(now, h.Client)
		if a.ProgressMS < 0 || v.ProgressMS < a.ProgressMS {
			a.ProgressMS = v.ProgressMS
		}
		if v.Running > 0 {
			a.Running, a.LongestMS = a.Running+1, max(a.LongestMS, v.RunningMS)
		}
		if len(a.Hits) < maxPage {
			a.Hits = append(a.Hits, b.aliveOf(now, h))
		}
	})
	return a
}
