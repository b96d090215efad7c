// Package assigner gives every client session, a hit, one thread of one worker from its first call to its last.
//
// A Broker stands between Clients and Workers. A Worker offers services, each with a number of slots; a slot is one thread. A
// client opens a hit of a service and gets a slot for itself; all calls of the hit run on that slot's thread, in order, until
// the hit is closed. The protocol is HIT/1, docs/protocol/hit.md, so that clients and workers of any language mix.
package assigner
