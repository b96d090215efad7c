package bridge

import "github.com/asynkron/protoactor-go/actor"

// replies are the return addresses that were given to one peer, for senders that have no name of their own: futures, and actors that are not
// registered. Only this peer can use them. An address lives as long as who it stands for; the dead are swept out when the
// table has doubled, so that it holds at most as many of them as of the living, and 64 more.
type replies struct {
	bySender map[pidKey]*reply
	byAddr   map[string]*reply
	next     int // size of the next sweep
}

type reply struct {
	to   *actor.PID
	addr string
	open int // questions without an answer so far
}

const minSweep = 64

// ask returns the address of a sender and notes that it waits for one answer more.
func (r *replies) ask(to *actor.PID, fresh func() string, alive func(*actor.PID) bool) string {
	key := keyOf(to)
	e := r.bySender[key]
	if e == nil {
		if len(r.byAddr) >= max(r.next, minSweep) {
			r.sweep(alive)
		}
		if r.bySender == nil {
			r.bySender, r.byAddr = make(map[pidKey]*reply), make(map[string]*reply)
		}
		e = &reply{to: to, addr: fresh()}
		r.bySender[key], r.byAddr[e.addr] = e, e
	}
	e.open++
	return e.addr
}

// answer returns who an answer is for, nil if the address was never given to this peer or was swept out.
func (r *replies) answer(addr []byte) *actor.PID {
	e := r.byAddr[string(addr)]
	if e == nil {
		return nil
	}
	e.open = max(e.open-1, 0)
	return e.to
}

// waiting returns those who wait for an answer, dead ones among them.
func (r *replies) waiting() []*actor.PID {
	var pids []*actor.PID
	for _, e := range r.byAddr {
		if e.open > 0 {
			pids = append(pids, e.to)
		}
	}
	return pids
}

func (r *replies) sweep(alive func(*actor.PID) bool) {
	for key, e := range r.bySender {
		if !alive(e.to) {
			delete(r.bySender, key)
			delete(r.byAddr, e.addr)
		}
	}
	r.next = 2 * len(r.byAddr)
}
