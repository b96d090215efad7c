// Package reqrep asks questions and answers them: a Client that does not get stuck, and a Server with any number of workers. It closes the traps of plain REQ and REP
// sockets, and plain sockets of any language may be at either end.
//
//   - There is no lockstep: any number of requests may be under way, from any goroutines, and each gets its own answer.
//   - A request without an answer is tried again, on a fresh connection and at the next server if there are several, so often and so long as the config says (the lazy pirate
//     of the ZeroMQ guide). An answer that comes too late is counted and dropped; it never answers another request.
//   - A server of this package does a request once although it comes twice: it remembers what it has answered (ServerConfig.Remember). Others may do it again: only ask
//     those for what may be done twice.
//   - A server works on as many requests at a time as it has workers; what comes beyond its queue is refused at once (ErrBusy), not forgotten.
//
// Contract. Call returns the answer, or an *Error that says whether the request may have run. Answers come in any order; whoever needs an order asks for the second after the first
// answer. Errors and panics of a handler are answers.
//
// All methods are safe for use from any goroutine. The wire protocol, REQREP/1, is that of REQ and REP with one more frame; docs/patterns.md has it.
package reqrep
