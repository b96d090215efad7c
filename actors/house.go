package actors

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// House is what the actors of one broker share. It belongs to the loop they live on.
type House struct {
	ports   Ports
	system  *actor.ActorSystem
	broker  *actor.PID
	hits    *actor.PID // supervisor of hits
	workers *actor.PID // supervisor of workers
	refused [wire.Statuses]atomic.Uint64
	fx      []machine.Effect  // scratch, in use only within one step
	drained []func()          // who waits for the last hit to end
	resting []*actor.PID      // hit actors without a hit
	fallen  map[string]uint64 // hits of actors that are stopping, by the actor's PID
	spawned uint64            // hit actors started, for their names
}

// fall notes which hit an actor held when it stopped, so that its exit can be told to the broker.
func (h *House) fall(pid *actor.PID, handle uint64) {
	if h.fallen == nil {
		h.fallen = make(map[string]uint64)
	}
	h.fallen[pid.Id] = handle
}

// Refused returns how many messages the broker's actors refused for this reason. It is safe for use from any goroutine.
func (h *House) Refused(s wire.Status) uint64 {
	if int(s) < len(h.refused) {
		return h.refused[s].Load()
	}
	return 0
}

func (h *House) count(s wire.Status) {
	if int(s) < len(h.refused) {
		h.refused[s].Add(1)
	}
}

// take lends the scratch slice for the effects of one step. A nested step gets a slice of its own.
func (h *House) take() []machine.Effect {
	fx := h.fx
	h.fx = nil
	return fx[:0]
}

// give takes the scratch back, emptied so that it keeps nothing alive.
func (h *House) give(fx []machine.Effect) {
	clear(fx)
	if cap(fx) <= 256 {
		h.fx = fx
	}
}

func (h *House) now() time.Duration { return h.ports.Now() }

// send carries out a Send effect. A peer that is gone is reported by the bridge, and a client that does not read is disconnected there. A
// worker that does not read keeps its hits; but one that cannot even be told to end a hit would keep the slot for ever.
func (h *House) send(e *machine.Effect) {
	frames := e.Frames[:]
	for len(frames) > 0 && frames[len(frames)-1] == nil {
		frames = frames[:len(frames)-1]
	}
	err := h.ports.Outbox.Send(e.To, e.Header, frames...)
	if e.Header.Type == wire.End && errors.Is(err, wire.ErrPeerSlow) {
		h.ports.Peers.HangUp(e.To, "window", "it does not read: it could not be told to end a hit, whose slot would stay taken")
	}
}
