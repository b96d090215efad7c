// Package machine decides the way of one request through stages of workers. It is pure: no clock, no goroutine, no socket.
package machine
