package pipeline

import (
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// hear takes what a worker or the sink says.
func (v *Ventilator) hear(in *zmqsock.In, i int) {
	v.in = in.Frames(i, v.in[:0])
	meta := in.Meta(i)
	if len(v.in) < 2 || meta.Dropped > 0 {
		v.bad()
		return
	}
	id, word, rest := string(v.in[0]), string(v.in[1]), v.in[2:]
	ok := false
	switch word {
	case wordReady:
		ok = v.ready(id, rest, meta.FD)
	case wordDone:
		ok = len(rest) == 1 && v.done(id, rest[0])
	case wordBye:
		ok = true
		v.lose(id, "it has said goodbye")
	case wordSink:
		ok = v.sinkIs(id, rest, meta.FD)
	case wordStart:
		ok = len(rest) == 1 && v.expected(id, rest[0])
	case wordGot:
		ok = len(rest) == 1 && v.got(id, rest[0])
	}
	if !ok {
		v.bad()
	}
}

func (v *Ventilator) bad() {
	v.mu.Lock()
	v.stats.Bad++
	v.mu.Unlock()
}

// ready takes a new worker, and tells it what is going on.
func (v *Ventilator) ready(id string, rest [][]byte, fd int) bool {
	if len(rest) != 2 || len(rest[0]) > 255 {
		return false
	}
	credit, ok := parseCredit(rest[1])
	if !ok {
		return false
	}
	v.meet(id, fd)
	v.names[id] = string(rest[0])
	v.table.Ready(id, credit)
	if v.sink.endpoint != "" {
		v.send(id, wordSink, []byte(v.sink.endpoint))
	}
	if b := v.batch; b != nil {
		v.send(id, wordStart, u64(b.id), []byte(b.name))
	}
	return true
}

// meet notes whose a connection is. A descriptor that was another peer's is that no more: whoever had it is gone.
func (v *Ventilator) meet(id string, fd int) {
	if fd < 0 {
		return
	}
	if old, taken := v.byFD[fd]; taken && old.id != id {
		v.lose(old.id, "its connection is another one's")
	}
	v.byFD[fd] = peer{id, zmqsock.Identify(fd)}
}

// peer is whose connection it is.
type peer struct {
	id   string
	conn zmqsock.Conn
}

func (v *Ventilator) done(id string, entries []byte) bool {
	now := v.station.Now()
	return parseEntries(entries, func(batch, index uint64) {
		if v.batch != nil && batch == v.batch.id {
			v.table.Done(now, id, index)
		} else if v.table.Knows(id) {
			v.table.Done(now, id, ^uint64(0)) // of an earlier batch: it has room again
		}
	})
}

// sinkIs takes the sink. Another one than before has none of the results.
func (v *Ventilator) sinkIs(id string, rest [][]byte, fd int) bool {
	if len(rest) != 2 || zmqsock.CheckEndpoint("connect", string(rest[0])) != nil || len(rest[1]) == 0 {
		return false
	}
	next := sink{id, string(rest[0]), string(rest[1])}
	if v.sink.token != "" && v.sink.token != next.token && v.batch != nil && v.batch.known {
		v.finish(&Error{Op: "end", Kind: ErrSinkLost, Text: "another sink has come, at " + next.endpoint + ": the results so far were the other one's; do the batch again"})
	}
	v.meet(id, fd)
	v.sink = next
	for worker := range v.names {
		v.send(worker, wordSink, []byte(next.endpoint))
	}
	if b := v.batch; b != nil {
		v.announce(b)
	}
	return true
}

func (v *Ventilator) got(id string, entries []byte) bool {
	if id != v.sink.id {
		return false
	}
	return parseEntries(entries, func(batch, index uint64) {
		if v.batch != nil && batch == v.batch.id && v.table.Got(index) {
			v.batch.report.Done++
			v.mu.Lock()
			v.stats.Done++
			v.mu.Unlock()
		}
	})
}

func (v *Ventilator) notice(e zmqsock.Event) {
	if e.Kind != zmqsock.Disconnected {
		return
	}
	if p, ok := v.byFD[e.FD]; ok {
		v.suspects = append(v.suspects, suspect{p, looks})
	}
}

// suspect is a peer whose descriptor was closed, or is about to be, unless it was another connection's that had the descriptor before.
type suspect struct {
	peer peer
	left int
}

// A suspect is looked at so many times, so long apart: libzmq tells of the end of a connection just before it closes the descriptor.
const (
	looks     = 20
	lookAgain = 5 * time.Millisecond
)

// investigate loses the suspects whose connections are closed. It reports whether others are left.
func (v *Ventilator) investigate() bool {
	left := v.suspects[:0]
	for _, s := range v.suspects {
		if _, there := s.peer.conn.Backlog(); !there {
			if v.byFD[s.peer.conn.FD] == s.peer {
				delete(v.byFD, s.peer.conn.FD)
			}
			v.lose(s.peer.id, "its connection was closed")
		} else if s.left--; s.left > 0 {
			left = append(left, s)
		}
	}
	v.suspects = left
	return len(left) > 0
}

// lose takes in that a peer is gone.
func (v *Ventilator) lose(id, why string) {
	if id == v.sink.id {
		v.cfg.Logger.Warn("the sink is gone", "endpoint", v.sink.endpoint, "why", why)
		v.sink.id = "" // it may come back: its token says that it is the same
		return
	}
	if name, known := v.names[id]; known {
		v.cfg.Logger.Info("a worker is gone", "worker", name, "why", why)
		delete(v.names, id)
		v.table.Lost(id)
	}
}
