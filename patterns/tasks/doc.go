// Package tasks gives work to any number of workers and tells what became of each piece of it: any worker, one by name, some by their labels, the one that
// had a key last, or all of them, with a ledger.
//
// A task is a hit with a single call (package assigner), so brokers, workers and services are those of that package, in any language. What this package adds
// is the submitter's side: tasks wait in order while the broker has no room, are run again elsewhere when they fail, and are handles that can be waited for,
// looked at and cancelled; a Batch is many of them; All asks every worker of a service and says of each what became of its answer.
package tasks
