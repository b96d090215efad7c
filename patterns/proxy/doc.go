// Package proxy joins two sides of plain sockets in the middle of a network, so that either side may grow, shrink and move without the other: requests (ROUTER and
// DEALER), updates (XSUB and XPUB) or tasks (PULL and PUSH). It does what zmq_proxy_steerable does, and closes its traps.
//
//   - It can be paused, resumed, asked for statistics and ended, by methods, and over the wire by the words of zmq_proxy_steerable (Config.Control).
//   - A capture socket gets a copy of every message, with the side it came from; one that is not read slows nobody.
//   - Tasks and requests that nobody takes wait, here only as many as Config.Queue says, then in the sockets of those who send. Nothing is forwarded in part.
//   - A message for somebody who has gone is counted.
//
// Contract. Messages of one sender stay in order on their way to one receiver. A proxy keeps nothing: what is in its queues when it, or a receiver, ends is lost. Whoever needs more
// has package reqrep (asks again), pubsub (numbers updates; its Forwarder also merges handshakes) or pipeline (counts results).
//
// All methods are safe for use from any goroutine.
package proxy
