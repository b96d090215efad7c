// Package wire is the codec of HIT/1, the protocol between clients, broker and workers.
//
// It is pure: no socket, no clock, no goroutine, and nothing on the path of a call allocates. The protocol is specified in
// docs/protocol/hit.md; names and numbers here are that page's. The message types cross all ports of the house: the
// bridge decodes into them, actors and machines work on them, the outbox takes them back.
package wire
