package bridge

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// A handle is generation << indexBits | index: found without hashing, and never issued twice, since the generation of
// an index only grows, from a random base per start.
const (
	indexBits     = 24
	maxHits       = 1 << indexBits
	maxGeneration = 1 << 39 // where generations may begin: as many are left to grow, and the top bit stays free
)

// Directory maps handles of hits to PIDs. It belongs to the loop's goroutine; Len may be called from any.
type Directory struct {
	find  func(*actor.PID) (actor.Process, bool) // the system's registry
	home  actor.Dispatcher                       // the loop's
	slots []slot
	free  []uint32
	base  uint64
	live  atomic.Int64
}

type slot struct {
	gen  uint64
	pid  *actor.PID
	proc actor.Process // behind pid: one step less, and one cache miss, on the way of every message
	box  deliverer     // of an actor that can be handed messages without a queue, nil for others
}

// deliverer is a mailbox that handles a message at once where nothing waits before it (host.Box).
type deliverer interface {
	Deliver(on actor.Dispatcher, message any) bool
	Process() *actor.ActorProcess // that it belongs to, nil if that is not known
}

func newDirectory(base uint64, home actor.Dispatcher, find func(*actor.PID) (actor.Process, bool)) *Directory {
	if base == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:])
		base = binary.BigEndian.Uint64(b[:])%maxGeneration | 1
	}
	return &Directory{base: base, home: home, find: find}
}

// Reserve returns a new handle, or 0 if there are 16,777,216 already.
func (d *Directory) Reserve() uint64 {
	var i uint32
	if n := len(d.free); n > 0 {
		i, d.free = d.free[n-1], d.free[:n-1]
	} else {
		if len(d.slots) == maxHits-1 {
			return 0
		}
		i = uint32(len(d.slots))
		d.slots = append(d.slots, slot{gen: d.base})
	}
	d.live.Add(1)
	return d.slots[i].gen<<indexBits | uint64(i)
}

// Bind makes messages of the hit go to pid, nil: to nobody. Whoever binds an actor unbinds it before it has stopped. Box is the
// actor's mailbox, or nil; one that can deliver is handed messages without a queue while the actor is idle.
func (d *Directory) Bind(handle uint64, pid *actor.PID, box actor.Mailbox) {
	s := d.slot(handle)
	if s == nil {
		return
	}
	s.pid, s.proc, s.box = pid, nil, nil
	if pid == nil {
		return
	}
	own, _ := box.(deliverer)
	if own != nil {
		if proc := own.Process(); proc != nil { // no need to look for it
			s.proc, s.box = proc, own
			return
		}
	}
	if proc, ok := d.find(pid); ok {
		s.proc, s.box = proc, own
	} else {
		s.pid = nil
	}
}

// send hands a message to the actor of a hit, and reports whether there is one.
func (d *Directory) send(handle uint64, message any) bool {
	s := d.slot(handle)
	if s == nil || s.proc == nil {
		return false
	}
	if s.box == nil || !s.box.Deliver(d.home, message) {
		s.proc.SendUserMessage(s.pid, message)
	}
	return true
}

// Free gives the handle up for ever. Freeing twice does nothing.
func (d *Directory) Free(handle uint64) {
	s := d.slot(handle)
	if s == nil {
		return
	}
	s.gen++
	s.pid, s.proc, s.box = nil, nil, nil
	d.free = append(d.free, uint32(handle&(maxHits-1)))
	d.live.Add(-1)
}

// Lookup returns the PID of a hit, nil if there is none.
func (d *Directory) Lookup(handle uint64) *actor.PID {
	i := handle & (maxHits - 1)
	if i >= uint64(len(d.slots)) || d.slots[i].gen != handle>>indexBits {
		return nil
	}
	return d.slots[i].pid
}

// Len returns how many handles are in use.
func (d *Directory) Len() int { return int(d.live.Load()) }

func (d *Directory) slot(handle uint64) *slot {
	i := handle & (maxHits - 1)
	if i >= uint64(len(d.slots)) || d.slots[i].gen != handle>>indexBits {
		return nil
	}
	return &d.slots[i]
}
