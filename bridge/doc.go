// Package bridge joins ZeroMQ to actors: it maps ZeroMQ identities and the handles of hits to actor PIDs.
//
// A Loop is one goroutine that owns all sockets of a broker, a worker or a client. It receives in
// batches, delivers decoded messages to PIDs, runs the actors that live on its dispatcher inline, and sends what they
// wrote to the outbox in one batch. Nothing else ever touches a socket.
//
// Three rules hold everywhere. What reaches an actor on the loop's dispatcher borrows from the batch it came in: the mailbox
// holds a lease while the message waits, a handler that keeps it longer retains or copies it. What leaves for another goroutine is copied.
// And whatever is not HIT/1 dies at the door: it is answered, counted, and reaches no actor.
package bridge
