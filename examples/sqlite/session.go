package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// session is a hit of the service, with a record of what happened to it. It is used by one goroutine.
type session struct {
	hit     *assigner.Hit
	overlap *overlap
	log     func(format string, args ...any)
	row     HitRow
	stage   stage
	at      place // where its open transaction counts
}

// stage is how far a session's transaction has come.
type stage int

const (
	idle   stage = iota
	begun        // BEGIN is answered
	inside       // and a statement behind it, too
)

// openSession opens a hit.
func openSession(ctx context.Context, client *assigner.Client, label string, o *overlap, log func(string, ...any)) (*session, error) {
	hit, err := client.OpenWith(ctx, assigner.OpenRequest{Service: "sqlite", Label: label, Session: map[string]int{"busy_timeout_ms": 2000}})
	if err != nil {
		return nil, err
	}
	return &session{hit: hit, overlap: o, log: log, row: HitRow{
		Hit: fmt.Sprintf("%x", hit.Handle()), Label: label, Service: hit.Service(), Worker: hit.Worker(),
		Thread: hit.Thread(),
	}}, nil
}

// do runs one statement on the hit's thread.
func (s *session) do(ctx context.Context, statement string, args ...any) (*answer, error) {
	body, err := json.Marshal(map[string]any{"sql": statement, "args": append([]any{}, args...)})
	if err != nil {
		return nil, err
	}
	raw, err := s.hit.Call(ctx, body)
	s.row.Calls++
	s.log("%s %s: %.60s %v: %.80s %v", s.row.Label, s.row.Hit, statement, args, raw, err)
	if err != nil {
		return nil, s.failed(statement, err)
	}
	var a answer
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&a); err != nil {
		return nil, fmt.Errorf("the answer to %q cannot be read: %w", statement, err)
	}
	s.saw(&a)
	if s.stage == begun {
		s.stage, s.at = inside, place{a.PID, a.Thread}
		if !s.overlap.enter(s.at) {
			return nil, fmt.Errorf("hit %s: another hit has an open transaction on the same thread %d of process %d", s.row.Hit, a.Thread, a.PID)
		}
	}
	return &a, nil
}

// failed notes how a call failed; when the hit has ended so has its transaction.
func (s *session) failed(statement string, err error) error {
	var told *assigner.Error
	if !errors.As(err, &told) || errors.Is(err, assigner.ErrService) {
		s.row.Refused++
		return err
	}
	s.leave()
	verb, _, _ := strings.Cut(statement, " ")
	s.row.End, s.row.Outcome, s.row.At, s.row.Reason, s.row.Why = told.Status.String(), told.Outcome.String(), verb, told.Text, told.Why
	return err
}

func (s *session) begin(ctx context.Context, how string) error {
	_, err := s.do(ctx, how)
	if err == nil {
		s.stage = begun
	}
	return err
}

func (s *session) commit(ctx context.Context) error {
	at := s.stage
	s.leave()
	_, err := s.do(ctx, "COMMIT")
	if err == nil {
		s.row.Commits++
	} else if errors.Is(err, assigner.ErrService) {
		s.stage = min(at, begun) // it is still open
	}
	return err
}

// rollback gives up the transaction, if one is open.
func (s *session) rollback(ctx context.Context) error {
	if s.stage == idle {
		return nil
	}
	s.leave()
	_, err := s.do(ctx, "ROLLBACK")
	if err == nil {
		s.row.Rollbacks++
	}
	return err
}

func (s *session) leave() {
	if s.stage == inside {
		s.overlap.leave(s.at)
	}
	s.stage = idle
}

func (s *session) close(ctx context.Context) error {
	err := s.hit.Close(ctx)
	s.row.End = "closed"
	return err
}
