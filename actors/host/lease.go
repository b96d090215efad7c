package host

import "github.com/troupe-mq/troupe/bridge/wire"

// A message of the wire borrows its bytes. The mailbox holds a lease on them while the message waits and while it is
// handled, so that a message forwarded from one actor to the next stays valid however long it waits there.

func hold(message any) {
	if m, ok := message.(*wire.Message); ok {
		m.Retain()
	}
}

func letGo(message any) {
	if m, ok := message.(*wire.Message); ok {
		m.Release()
	}
}

// owned returns the message with bytes of its own, for a dead letter: nobody knows how long its readers keep it.
func owned(message any) any {
	if m, ok := message.(*wire.Message); ok && m.Lease != nil {
		return m.Copy()
	}
	return message
}
