// Package pubsub distributes updates by topic: a Publisher, Subscribers, and a Forwarder that merges several publishers onto one endpoint. It closes the traps of plain
// PUB and SUB sockets, and plain sockets of any language may be at either end.
//
//   - Topics end with a zero byte on the wire, so that "w1" never matches "w10". Subscribe means one topic, SubscribePrefix all that begin so.
//   - Subscribe returns when the publishers know of it: what is published from then on comes, or its loss is told. Nobody is late, and nobody sleeps.
//   - Updates are numbered by topic. A gap is told in Message.Missed, is an error, or is filled from the publisher's history (GapPolicy).
//   - By option a publisher keeps the last value of each topic, which new subscribers get first.
//   - Nothing grows without bounds: a subscriber that reads too slowly loses updates, and only that one does. It is named in Publisher.Stats and in the log; one that reads
//     nothing may be disconnected.
//
// Contract. Updates of one topic of one publisher are delivered in order, each at most once. Updates are lost where a subscriber is too slow or disconnected for longer
// than queues and history last; the next update of that topic tells how many. What was lost after the last update of a topic shows only with its next one. A publisher that
// was started again is another one: its numbers begin anew, and what nobody had received is gone with it.
//
// All methods are safe for use from any goroutine. Sockets belong to one goroutine for each Publisher, Subscriber and Forwarder. The wire protocol, PUBSUB/2, and its use from
// plain sockets are described in docs/patterns.md.
package pubsub
