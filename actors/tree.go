package actors

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors/host"
	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
	"github.com/troupe-mq/troupe/supervision/restart"
)

// NewHouse returns the house of one broker, still empty. The dispatcher is the loop's: all actors of the house live on it.
func NewHouse(system *actor.ActorSystem, ports Ports) *House {
	return &House{ports: ports, system: system}
}

// Names of the children of a broker's tree.
const (
	HitsChild    = "hits"
	WorkersChild = "workers"
	BrokerChild  = "broker"
)

// Spec returns the tree of a broker:
//
//	broker tree (one for one, no restart: the death of the broker's actor ends the tree, its parent starts afresh)
//	+-- hits       dynamic, temporary: a crash fails exactly that hit
//	+-- workers    dynamic, temporary: a crash is the loss of that worker
//	+-- broker     the one that gives hits to workers
func (h *House) Spec(name string, cfg machine.BrokerConfig, dispatcher actor.Dispatcher, stop time.Duration) supervision.Spec {
	clock := func() int64 { return int64(h.ports.Now()) }
	fresh := clock
	if h.ports.Elapsed != nil {
		fresh = func() int64 { return int64(h.ports.Elapsed()) }
	}
	box := host.MailboxConfig{Capacity: host.Unbounded, Clock: clock, Now: fresh}
	plain := []actor.PropsOption{actor.WithDispatcher(dispatcher), actor.WithMailbox(host.Mailbox(box))}
	// The loop hands out one batch and runs everybody before the next, so a hit's mailbox is bounded by the batch. A limit of its own could only
	// lose an ENDED, and with it a slot.
	box.OnReject = h.rejected
	hits := []actor.PropsOption{actor.WithDispatcher(dispatcher), actor.WithMailbox(host.Mailbox(box))}
	none := supervision.Intensity{Restarts: 0, Window: time.Second}
	return supervision.Spec{Name: name, Options: plain, ChildOptions: plain, Shutdown: stop, Logger: h.ports.Logger, Intensity: none, Stamps: host.Stamps, Children: []supervision.ChildSpec{
		supervision.Supervisor(HitsChild, supervision.Spec{Options: plain, ChildOptions: hits, OnExit: h.hitExited, Shutdown: stop}),
		supervision.Supervisor(WorkersChild, supervision.Spec{Options: plain, ChildOptions: plain, OnExit: h.workerExited, Shutdown: stop}),
		{ID: BrokerChild, Start: func() actor.Actor {
			return &brokerActor{house: h, broker: machine.NewBroker(cfg, ports{h}), workers: make(map[*machine.Worker]*worker), early: make(map[*machine.Hit][]any)}
		}},
	}}
}

// Adopt tells the house where its supervisors are, from the listing of the started tree, and returns the PID of the broker's actor.
// It must be called on the loop, before any endpoint is opened.
func (h *House) Adopt(tree supervision.Status) (*actor.PID, error) {
	for _, c := range tree.Children {
		switch c.ID {
		case HitsChild:
			h.hits = c.PID
		case WorkersChild:
			h.workers = c.PID
		}
	}
	if h.hits == nil || h.workers == nil || h.broker == nil {
		return nil, fmt.Errorf("actors: the tree has no %s, %s and %s: start it by House.Spec", HitsChild, WorkersChild, BrokerChild)
	}
	return h.broker, nil
}

// hitExited reports the crash of a hit's actor to the broker. One that was done has said so itself.
func (h *House) hitExited(e supervision.Exited) {
	if e.PID == nil {
		return
	}
	handle, held := h.fallen[e.PID.Id]
	delete(h.fallen, e.PID.Id)
	if held && h.broker != nil && e.Reason.Class() != restart.Normal {
		h.system.Root.Send(h.broker, &crashed{false, handle, e.Reason.Error()})
	}
}

// workerExited reports the crash of a worker's actor to the broker.
func (h *House) workerExited(e supervision.Exited) {
	if e.Reason.Class() == restart.Normal || h.broker == nil {
		return
	}
	if peer, err := strconv.ParseUint(e.ID, 16, 64); err == nil {
		h.system.Root.Send(h.broker, &crashed{true, peer, e.Reason.Error()})
	}
}

// rejected takes what was still in the mailbox of a hit that has ended: its session may have ended without the broker's knowing, and its
// client may wait for an answer. Whoever hears of hits that are over hears of it.
func (h *House) rejected(_ *actor.PID, message any, _ error) {
	switch m := message.(type) {
	case *wire.Message:
		h.system.Root.Send(h.broker, m)
	case *begin:
		m.msg.Release()
	}
}

// ports are what the broker's machine needs while it decides.
type ports struct{ h *House }

// Reserve is machine.Ports'.
func (p ports) Reserve() uint64 { return p.h.ports.Directory.Reserve() }

// Key is machine.Ports'.
func (p ports) Key() (k machine.Key) { _, _ = rand.Read(k[:]); return k }

// Free is machine.Ports'.
func (p ports) Free(handle uint64) { p.h.ports.Directory.Free(handle) }

// Window is machine.Ports'.
func (p ports) Window(peer wire.Peer, asked int64) int64 { return p.h.ports.Peers.Window(peer, asked) }
