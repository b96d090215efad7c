// Package affinity proves what the project is for: a hit has one thread, the same from its opening to its close, and no other hit has it
// meanwhile. The proof runs against Go and Python workers in processes of their own; it is itself proved against workers that break the promise.
package affinity
