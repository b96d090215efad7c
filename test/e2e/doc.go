// Package e2e holds the project to its promises from one end to the other: real brokers, workers and clients, in one process and in several, on every
// transport, through everything that can go wrong.
package e2e
