package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/cmd/troupe/internal/settings"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/tasks"
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
	next string // what to do, where the text does not end with it
}

// Error returns the text of the cause.
func (c *coded) Error() string { return c.err.Error() }

// Unwrap returns the cause.
func (c *coded) Unwrap() error { return c.err }

func usage(err error) error      { return &coded{code: exitUsage, err: err} }
func incomplete(err error) error { return &coded{code: exitIncomplete, err: err} }

// exitCode is what a shell script can branch on.
func exitCode(err error) int {
	var c *coded
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &c):
		return c.code
	case errors.Is(err, zmqsock.ErrBadEndpoint), errors.Is(err, zmqsock.ErrInsecure):
		return exitUsage
	case errors.Is(err, assigner.ErrRefused):
		return exitFailed // also where it is known only when the time is over
	case errors.Is(err, assigner.ErrBrokerGone):
		return exitUnreachable
	case errors.Is(err, assigner.ErrExpired), errors.Is(err, context.DeadlineExceeded), errors.Is(err, assigner.ErrCancelled), errors.Is(err, context.Canceled):
		return exitIncomplete
	}
	return exitFailed
}

// next is what to do about an error with this status, where its text does not end with it.
var next = map[wire.Status]string{
	wire.BrokerGone:     "start a broker with `troupe broker`, or name it with --broker or " + clientsEnv,
	wire.UnknownService: "`troupe status` shows the services on offer",
	wire.QueueFull:      "`troupe hit list` shows who has the slots",
	wire.Expired:        "allow more with --timeout",
	wire.WorkerGone:     "`troupe worker list` shows who is left",
	wire.IsStuck:        "`troupe why` shows what was measured, and which setting would change it",
	wire.Panicked:       "the worker's log says more",
	wire.Refused:        "`troupe doctor` shows what this peer may; listings need the right admin, or at a broker without keys --admin on",
	wire.BadType:        "name the broker's other endpoint with --broker; it prints both when it starts",
	wire.NameTaken:      "choose another --name; `troupe worker list` shows those in use",
}

// failure is an error as -o json prints it.
type failure struct {
	Error   string          `json:"error"`
	Code    int             `json:"exit_code"`
	Service string          `json:"service,omitempty"`
	Hit     string          `json:"hit,omitempty"`
	Status  string          `json:"status,omitempty"`
	Outcome string          `json:"outcome,omitempty"`
	Why     json.RawMessage `json:"why,omitempty"`
	Next    string          `json:"next,omitempty"`
	Excerpt string          `json:"excerpt,omitempty"` // of a configuration file
}

func newFailure(err error) failure {
	f := failure{Error: err.Error(), Code: exitCode(err), Excerpt: settings.ExcerptOf(err)}
	var c *coded
	if errors.As(err, &c) {
		f.Next = c.next
	}
	var e *assigner.Error
	if !errors.As(err, &e) {
		return f
	}
	f.Error = e.Text
	var t *tasks.Error
	if errors.As(err, &t) && len(t.Attempts) > 1 {
		f.Error += fmt.Sprintf(" (%d attempts)", len(t.Attempts))
	}
	f.Service, f.Status, f.Outcome, f.Next = e.Service, e.Status.String(), e.Outcome.String(), next[e.Status]
	if e.Status == wire.Expired && e.Outcome == assigner.NeverStarted {
		f.Next += "; `troupe hit list` shows who has the slots"
	}
	if e.Hit != 0 {
		f.Hit = fmt.Sprintf("%x", e.Hit)
	}
	if json.Valid(e.Why) {
		f.Why = e.Why
	}
	return f
}

// complain tells an error on standard error; joined errors are told one by one.
func (a *app) complain(err error) {
	for _, one := range parts(err) {
		f := newFailure(one)
		if a.json() {
			_ = json.NewEncoder(a.err).Encode(f) // nobody is left to tell
			continue
		}
		fmt.Fprintln(a.err, f.text())
		if f.Excerpt != "" {
			fmt.Fprintln(a.err, f.Excerpt)
		}
		if f.Why != nil {
			fmt.Fprintln(a.err, "why:", string(f.Why))
		}
		if f.Next != "" {
			fmt.Fprintln(a.err, "next:", f.Next)
		}
	}
}

// parts takes joined errors apart.
func parts(err error) []error {
	//nolint:errorlint // the error itself is looked at, not what it wraps
	if _, single := err.(*assigner.Error); single {
		return []error{err}
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || strings.Count(err.Error(), "\n") == 0 {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, parts(one)...)
	}
	return all
}

// text is the failure as a line: where, what, why.
func (f failure) text() string {
	where := []string{"troupe"}
	if f.Service != "" {
		where = append(where, f.Service)
	}
	if f.Hit != "" {
		where = append(where, "hit "+f.Hit)
	}
	if f.Status != "" {
		where = append(where, f.Status+" ("+f.Outcome+")")
	}
	return strings.Join(where, ": ") + ": " + cell(f.Error)
}
