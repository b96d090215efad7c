// Package host is what an actor lives in: a mailbox and a dispatcher of our own for protoactor.
//
// The mailbox (Box) is bounded, tells a sender that it is full, hands what a stopped actor left behind to the dead
// letters, keeps the stack of a panic, yields after a turn, and knows which message the actor is in and since when.
// A Goroutines dispatcher runs each turn on a goroutine it can wait for; a Pinned dispatcher runs all turns on one
// operating system thread of its own.
//
//	threads := host.NewPinned("slot-7")
//	props := actor.PropsFromProducer(newSlot,
//		actor.WithMailbox(host.Mailbox(host.MailboxConfig{Capacity: 64})),
//		actor.WithDispatcher(threads))
package host
