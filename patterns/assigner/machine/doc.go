// Package machine holds the assigner's own pure machines: how a client or a worker registers with its broker and comes back after a loss.
package machine
