package assigner

import (
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Counters returns what the broker has counted since its start, by name: messages in and out, connections, and what was refused, by
// reason.
func (b *Broker) Counters() map[string]uint64 {
	s := b.loop.Stats()
	c := map[string]uint64{
		"messages_received": s.Received.Load(), "messages_sent": s.Sent.Load(), "peers": uint64(max(s.Peers.Load(), 0)),
		"peers_lost": s.Lost.Load(), "peers_hung_up": s.HungUp.Load(), "messages_waiting": uint64(max(s.Waiting.Load(), 0)),
		"strangers_ignored": s.Ignored.Load(), "messages_unsent": s.Unsent.Load(), "turns": s.Turns.Load(), "sleeps": s.Sleeps.Load(),
		"longest_turn_us": uint64(s.Longest().Microseconds()),
	}
	for i := wire.Status(1); i < wire.Statuses; i++ {
		if n := s.Refused(i) + b.house.Refused(i); n > 0 {
			c["refused_"+i.String()] = n
		}
	}
	b.countKeys(c)
	return c
}

// countKeys adds what was turned away before it could say a word.
func (b *Broker) countKeys(c map[string]uint64) {
	s := b.loop.Stats()
	for why := range zmqsock.Failure(zmqsock.Failures) {
		if n := s.Failed(why); n > 0 {
			c["handshakes_"+why.String()] = n
		}
	}
	if b.gate == nil {
		return
	}
	c["keys_read"], c["keys_unreadable"], c["refused_nobody"] = b.gate.loaded.Load(), b.gate.failed.Load(), s.Nobody.Load()
	if g := b.gate.guard; g != nil {
		c["handshakes_admitted"] = g.Admitted()
	}
}
