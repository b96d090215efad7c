// Package schedule decides which worker gets the next hit. It is pure: no clock, no goroutine, no randomness of its own.
package schedule
