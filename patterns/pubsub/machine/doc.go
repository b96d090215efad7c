// Package machine decides, for pubsub, what a sequence of updates means: where one is missing, which ones to ask for again, and what to deliver in which order. It is
// pure: time is an argument, and what is to be done is returned.
package machine
