// Package pair joins exactly two ends, in one process or in two: parent and child threads, two actors, two programs. Both have the same methods, and inproc becomes ipc or tcp by
// changing the URL alone. It closes the traps of plain PAIR sockets.
//
//   - It is exclusive: a third end is told so (ErrTaken); with a plain PAIR it is ignored, and waits for ever.
//   - Dial returns when the other end knows. Which end starts first does not matter.
//   - An end that closes, dies or is cut off is told of (ErrGone), after all that it had sent before. A plain PAIR over tcp loses messages without a word, and connects again.
//   - Send waits while the other end has Config.Window messages that it has not received; memory stays bounded.
//   - An end may be used from any goroutine, also from several at once; a plain socket may not.
//
// Contract. Messages come in order, each once, or the pair has ended, and both are told. Ends do not come back: for a new pair, Listen and Dial again. What an end has sent before its Close
// arrives if the other end takes it within 2 s.
//
// The wire protocol, PAIR/1, is described in docs/patterns.md; a DEALER of any language can speak it.
package pair
