package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitIncomplete  = 4
)

// coded is an error that knows its exit code.
type coded struct {
	code int
	err  error
}

// Error returns the text of the cause.
func (c *coded) Error() string { return c.err.Error() }

// Unwrap returns the cause.
func (c *coded) Unwrap() error { return c.err }

func usage(err error) error      { return &coded{exitUsage, err} }
func incomplete(err error) error { return &coded{exitIncomplete, err} }

// exitCode is what a shell script can branch on.
func exitCode(err error) int {
	var c *coded
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &c):
		return c.code
	case errors.Is(err, zmqsock.ErrBadEndpoint), errors.Is(err, assigner.ErrInsecure):
		return exitUsage
	case errors.Is(err, assigner.ErrBrokerGone):
		return exitUnreachable
	case errors.Is(err, assigner.ErrExpired), errors.Is(err, context.DeadlineExceeded), errors.Is(err, assigner.ErrCancelled), errors.Is(err, context.Canceled):
		return exitIncomplete
	}
	return exitFailed
}

// failure is an error as -o json prints it.
type failure struct {
	Error   string          `json:"error"`
	Code    int             `json:"exit_code"`
	Status  string          `json:"status,omitempty"`
	Outcome string          `json:"outcome,omitempty"`
	Why     json.RawMessage `json:"why,omitempty"`
}

// complain tells an error on standard error.
func (a *app) complain(err error) {
	f := failure{Error: err.Error(), Code: exitCode(err)}
	var e *assigner.Error
	if errors.As(err, &e) {
		f.Status, f.Outcome = e.Status.String(), e.Outcome.String()
		if json.Valid(e.Why) {
			f.Why = e.Why
		}
	}
	if a.json() {
		_ = json.NewEncoder(a.err).Encode(f) // nobody is left to tell
		return
	}
	fmt.Fprintln(a.err, "troupe:", f.Error)
	if f.Why != nil {
		fmt.Fprintln(a.err, "why:", string(f.Why))
	}
}
