package bridge

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// process is what the engine finds behind the PID of a connected peer. PIDs keep the process they have found for ever, so it knows the
// identity only and looks for the peer each time: after a loss it is a dead actor, after a return the new incarnation.
// Any goroutine may call it.
type process struct {
	plain    *Plain
	identity string
}

var _ actor.Process = (*process)(nil)

// SendUserMessage sends to the peer. What cannot be sent becomes a dead letter, which fails a Request at once.
func (r *process) SendUserMessage(pid *actor.PID, message any) {
	p := r.plain
	_, msg, sender := actor.UnwrapEnvelope(message)
	switch msg.(type) {
	case *actor.PoisonPill:
		r.Stop(pid)
		return
	case *actor.DeadLetterResponse:
		// The actor that the peer has written to died just then.
		p.stats.Unknown.Add(1)
		return
	}
	body, ok := bodyOf(msg)
	if !ok {
		p.unsendable(pid, msg)
		p.system.DeadLetter.SendUserMessage(pid, message)
		return
	}
	if p.post(r.identity, pid, sender, message, body) != nil {
		p.system.DeadLetter.SendUserMessage(pid, message)
	}
}

// unsendable counts and logs what has no form on the wire: the 1st, 2nd, 4th, 8th and so on, since such a mistake repeats itself.
func (p *Plain) unsendable(pid *actor.PID, msg any) {
	if n := p.stats.Unsendable.Add(1); n&(n-1) == 0 {
		p.loop.cfg.Logger.Warn("dead letter", "pid", pid.Id, "count", n, "error", fmt.Errorf(
			"bridge: a %T cannot be sent to a ZeroMQ peer: send bridge.Frames, [][]byte, []byte, string or *bridge.Message", msg))
	}
}

// SendSystemMessage watches, unwatches and stops. Other system messages are for actors only.
func (r *process) SendSystemMessage(pid *actor.PID, message any) {
	switch m := message.(type) {
	case *actor.Watch:
		if !r.plain.watch(r.identity, m.Watcher) {
			// The engine answers a dead letter of this kind with Terminated.
			r.plain.system.DeadLetter.SendSystemMessage(pid, message)
		}
	case *actor.Unwatch:
		r.plain.unwatch(r.identity, m.Watcher)
	case *actor.Stop:
		r.Stop(pid)
	}
}

// Stop ends the peer's connection soon, after what was sent before has been handed to libzmq.
func (r *process) Stop(pid *actor.PID) {
	p := r.plain
	p.mu.Lock()
	peer := p.peers[r.identity]
	p.mu.Unlock()
	if peer == nil {
		p.system.DeadLetter.Stop(pid)
		return
	}
	p.loop.Do(func() { p.hangUp(peer) })
}

// watch adds a watcher and reports whether the peer is there.
func (p *Plain) watch(identity string, watcher *actor.PID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	peer := p.peers[identity]
	if peer == nil {
		return false
	}
	if peer.watchers == nil {
		peer.watchers = make(map[pidKey]*actor.PID)
	}
	peer.watchers[keyOf(watcher)] = watcher
	return true
}

func (p *Plain) unwatch(identity string, watcher *actor.PID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if peer := p.peers[identity]; peer != nil {
		delete(peer.watchers, keyOf(watcher))
	}
}
