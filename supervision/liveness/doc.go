// Package liveness tells apart what can be wrong with the other side: GONE, FROZEN, STUCK, SLOW, SAID-ERROR. It is pure: hosts tell its machines what
// they have seen and when, and carry out what those want. Three machines share the work:
//
//   - Judge is the host's own pulse. It notices when the host itself stood still, and what was measured meanwhile counts for nothing.
//   - Peer judges one connection: whether it stands (GONE), and whether the process and the host behind it live (FROZEN).
//   - Call judges one thread of a peer while it runs a call: whether it makes progress (STUCK), in time (SLOW), and without an error (SAID-ERROR).
//
// A sign from a side thread, as a transport's heartbeat, is one of the process and says nothing of a call; a sign from the thread of a call is one of
// both. So a busy interpreter whose ZeroMQ thread answers is never FROZEN, and a stopped process is not STUCK before it is FROZEN.
// docs/liveness.md tells the whole story.
package liveness
