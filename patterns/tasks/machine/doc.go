// Package machine decides when a task is run, run again, and over. It is pure: no clock, no goroutine, no socket, no randomness of its own.
package machine
