package bridge

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// ErrNameTaken is wrapped by Register's error when a living actor has the name.
var ErrNameTaken = errors.New("name taken")

// reserved begins the addresses that are the endpoint's own.
const reserved = '~'

// maxName is the longest name in bytes.
const maxName = 255

// names are the actors that peers can write to. A name whose actor has died is free, and is forgotten when it is next asked for, or when the
// table has doubled.
type names struct {
	byName map[string]*actor.PID
	byPID  map[pidKey]string // the first of an actor's names
	next   int               // size of the next sweep
}

// Register makes an actor reachable for peers under a name of 1 to 255 bytes, which may not begin with "~". The name is also where
// peers answer what the actor sends. It ends with Unregister, or with the actor. An actor may have several names; the first is the one it sends
// under. A name that another living actor has is refused with ErrNameTaken.
//
// The loop delivers into the actor's mailbox: one that blocks when it is full (protoactor's Bounded) would block the loop.
func (p *Plain) Register(name string, pid *actor.PID) error {
	switch {
	case name == "" || len(name) > maxName || name[0] == reserved:
		return fmt.Errorf("bridge: the name %q cannot be registered: use 1 to %d bytes, the first not %q", name, maxName, reserved)
	case pid == nil:
		return fmt.Errorf("bridge: the PID for the name %q is nil: give the actor that peers shall reach", name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("bridge: %q cannot be registered: the endpoint is closed", name)
	}
	if old := p.names.byName[name]; old != nil && keyOf(old) != keyOf(pid) && p.alive(old) {
		return fmt.Errorf("bridge: %w: %q belongs to the actor %s: choose another name, or Unregister this one first", ErrNameTaken, name, old.Id)
	}
	if old := p.names.byName[name]; old == nil || keyOf(old) != keyOf(pid) {
		p.names.add(name, pid, p.alive)
	}
	return nil
}

// Unregister makes a name unknown again. An unknown name is left so.
func (p *Plain) Unregister(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.names.remove(name)
}

func (n *names) add(name string, pid *actor.PID, alive func(*actor.PID) bool) {
	n.remove(name)
	if len(n.byName) >= max(n.next, minSweep) {
		n.sweep(alive)
	}
	if n.byName == nil {
		n.byName, n.byPID = make(map[string]*actor.PID), make(map[pidKey]string)
	}
	n.byName[name] = pid
	if _, named := n.byPID[keyOf(pid)]; !named {
		n.byPID[keyOf(pid)] = name
	}
}

// remove forgets a name; an actor that has others sends under one of those.
func (n *names) remove(name string) {
	pid := n.byName[name]
	if pid == nil {
		return
	}
	delete(n.byName, name)
	key := keyOf(pid)
	if n.byPID[key] != name {
		return
	}
	delete(n.byPID, key)
	for other, owner := range n.byName {
		if keyOf(owner) == key {
			n.byPID[key] = other
			return
		}
	}
}

// lookup returns the living actor of a name, nil if there is none.
func (n *names) lookup(name []byte, alive func(*actor.PID) bool) *actor.PID {
	pid := n.byName[string(name)]
	if pid != nil && !alive(pid) {
		n.remove(string(name))
		return nil
	}
	return pid
}

func (n *names) of(pid *actor.PID) (string, bool) {
	name, ok := n.byPID[keyOf(pid)]
	return name, ok
}

func (n *names) sweep(alive func(*actor.PID) bool) {
	for name, pid := range n.byName {
		if !alive(pid) {
			n.remove(name)
		}
	}
	n.next = 2 * len(n.byName)
}
