// Package station runs the one goroutine that owns the sockets of a classic pattern: publisher, subscriber, ventilator, proxy and their like.
//
// A Station receives in batches, hands each message to its Port's Hear, lets the pattern send what it has written, and sleeps when there is nothing to do. All that a
// pattern does with sockets happens in Hear, Notice, Turn, End and functions given to Do: on the station's goroutine, one at a time. HIT/1 has its own loop, in
// package bridge; this one knows nothing of what messages mean.
package station
