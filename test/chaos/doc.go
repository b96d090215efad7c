// Package chaos lets random faults happen to brokers, workers (in Go and in Python), clients and the links between them, while many clients make calls of all kinds, and holds what
// came of it against what Troupe promises:
//
//   - every call ends in exactly one of reply and typed error; no reply comes twice, none is stale;
//   - no call of a hit runs on another thread than the others, none runs twice, the order is kept;
//   - what has a reply has run, what never started has not;
//   - no call of a direct hit begins after the broker has told its client that the hit is lost;
//   - a call of a service that is repaired by restart, and may run again, is answered once, however often it has run, which is four times at most;
//   - every fault that has a verdict gets it, and there is no verdict without a fault.
//
// A pool has faults of its own (TestPoolChaos): all are asked while members and masters are killed, frozen, join and leave, and the cable between two hosts falls silent.
//
// There are three independent witnesses: the services, which write down every call as it begins and ends; the callers; and a tap on the links between clients and brokers,
// which reads the protocol as it passes by. The faults are drawn from a seed, per part of the system; SEED=n repeats them. What was found is written to chaos.json.
package chaos
