package assigner

import (
	"slices"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

// hand is an actor that serves one-shots of services without threads of their own, one after another, each as a slot of its own. To start an actor for each
// and stop it again took longer than many a call.
type hand struct {
	worker *Worker
	id     string // at its supervisor
	pid    *actor.PID
	at     *slot // what it serves, nil: it rests
}

// handed gives a one-shot to a hand that rests, or to a new one. The lock is held.
func (w *Worker) handed(s *slot) (h *hand, fresh bool) {
	if n := len(w.hands); n > 0 {
		h = w.hands[n-1]
		w.hands = w.hands[:n-1]
		s.pid = h.pid
	} else {
		w.handsMade++
		h, fresh = &hand{worker: w, id: "hand-" + strconv.FormatUint(w.handsMade, 10)}, true
	}
	s.hand, s.id = h, h.id
	return h, fresh
}

// Receive is the engine's.
func (h *hand) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *beginning:
		h.at = m.slot
		if h.pid == nil {
			h.known(ctx.Self())
		}
		m.slot.begin(ctx, m.msg)
	case *wire.Message:
		if s := h.at; s != nil && s.handle == m.Header.Hit {
			s.message(ctx, m)
		}
	case *orphanage:
		if h.at == m.slot {
			h.at.finish(ctx, wire.BrokerGone, "the connection to the broker is lost")
		}
	case *actor.Stopping:
		if h.at != nil {
			h.at.stopping()
		}
	case *actor.Stopped:
		h.leave()
		return
	}
	if s := h.at; s != nil && s.over {
		h.rest(ctx)
	}
}

// known says who serves the hand's first slot.
func (h *hand) known(self *actor.PID) {
	w := h.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	h.pid = self
	h.at.seated(self)
}

// rest lets go of a slot that is over, and waits for another one. A hand whose slot has crashed, or was written off, ends.
func (h *hand) rest(ctx actor.Context) {
	s, w := h.at, h.worker
	s.dropStreams()
	if _, normal := s.reason.(supervision.Normal); !normal || s.spoilt || !s.freed {
		supervision.Exit(ctx, s.reason)
		return
	}
	h.at = nil
	w.mu.Lock()
	kept := !w.draining && len(w.hands) < min(w.cfg.MaxSlots, maxParked)
	if kept {
		w.hands = append(w.hands, h)
	}
	w.mu.Unlock()
	if !kept {
		supervision.Exit(ctx, supervision.Normal{})
	}
}

// leave is the end of the hand.
func (h *hand) leave() {
	w := h.worker
	w.mu.Lock()
	w.hands = slices.DeleteFunc(w.hands, func(other *hand) bool { return other == h })
	w.mu.Unlock()
	if s := h.at; s != nil {
		w.release(s)
	}
}
