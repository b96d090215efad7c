// Package machine holds what decides at the broker: a Hit, a Worker and the Broker itself, as pure machines.
//
// A machine takes an event and appends effects; its host, an actor of package actors, carries them out. Time is an argument. States,
// messages and rules are those of docs/protocol/hit.md; there is one handler per (state, message).
package machine
