// Package actors houses who lives at a broker: the Broker, one Worker per connected worker, and one Hit per session.
//
// Each is a thin actor around a machine of package machine: it hands messages to the machine and carries out the effects.
// All of them live on the loop's dispatcher, so that the path of a call is two hops long: loop, hit, outbox, and back.
package actors
