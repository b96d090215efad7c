// Package brokers proves what is promised of several brokers, with each in a process of its own: no hit is lost while one of them has room, weights are
// followed, and a worker that serves several with one set of slots gives none of them twice.
package brokers
