// Package watch decides, without any clock or goroutine, which handler does not return. It is fed with what a host has seen and
// when; what follows is the host's to do.
package watch

import (
	"time"

	"github.com/troupe-mq/troupe/supervision/liveness"
)

// Finding is what a look at a handler has found.
type Finding uint8

// The findings.
const (
	Nothing Finding = iota
	Stuck           // it has been in one message for its limit; told once for each message
	Back            // it has left the message in which it was stuck
)

// Handler is the machine of one handler: something that is idle, or busy with one message after another. Make one with its
// Limit set; the zero value of the rest is a handler that was not looked at yet.
type Handler struct {
	Limit time.Duration // how long it may be in one message

	busy    bool
	told    bool
	message uint64
	since   time.Duration // when it was seen in that message first
}

// Look takes in what was seen at now: whether the handler is busy, and with which message, by any number that tells it from the
// next. Only what was seen since the time given counts, so that a message is never older than the evidence for it. It returns
// what was found, and for how long the message has been seen.
func (h *Handler) Look(now, since time.Duration, busy bool, message uint64) (Finding, time.Duration) {
	if !busy || !h.busy || message != h.message {
		was := h.told
		h.busy, h.message, h.since, h.told = busy, message, now, false
		if was {
			return Back, 0
		}
		return Nothing, 0
	}
	seen := now - max(h.since, since)
	if h.told || seen < h.Limit {
		return Nothing, seen
	}
	h.told = true
	return Stuck, seen
}

// Pulse says when a watchdog has to look, and whether it was late itself: then all evidence begins anew (liveness.Judge).
type Pulse = liveness.Judge

// NewPulse returns the pulse for handlers of which this is the shortest limit.
func NewPulse(shortest time.Duration) Pulse { return liveness.NewJudge(shortest) }
