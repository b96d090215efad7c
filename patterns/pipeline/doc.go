// Package pipeline shares out batches of tasks among workers and collects the results: a Ventilator, Workers, and a Sink. It closes the traps of plain PUSH and PULL
// sockets.
//
//   - Start and end of a batch are known to all. Ventilator.Start returns when the sink is there; Batch.End when it has every result.
//   - Workers get tasks in turn, as many as they have asked for (their credit), so that a slow one does not sit on tasks that another one could do.
//   - Results are counted exactly: each task gives one result at the sink although workers die, freeze, or are stopped, and none gives two. What cannot be done (a task
//     whose workers die, again and again) is in the Report by its index.
//   - Kill reaches workers at once, also while they work: the context of what they do ends.
//   - Nothing grows without bounds: Push waits while too many tasks are unfinished, workers wait for the sink, the sink for whoever receives from it.
//
// Contract. A handler may run more than once for one task, since a worker may be lost after the work and before its result has arrived; the sink takes the first result. Results come in
// any order. A ventilator runs one batch at a time. When the sink is lost its results are, too: the batch ends with ErrSinkLost.
//
// All methods are safe for use from any goroutine. The wire protocol, PIPE/1, and its use from plain sockets are described in docs/patterns.md.
package pipeline
