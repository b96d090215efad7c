package butterfly

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Problem is an error as clients see it: application/problem+json of RFC 9457. A stage may return one.
type Problem struct {
	Type    string          `json:"type,omitempty"` // a URI; empty: about:blank
	Title   string          `json:"title"`          // by default the status in words
	Status  int             `json:"status"`
	Detail  string          `json:"detail,omitempty"`
	Trace   string          `json:"trace,omitempty"`   // of the request
	Stage   string          `json:"stage,omitempty"`   // where it happened
	Verdict string          `json:"verdict,omitempty"` // the status of HIT/1, as worker-gone, or what was wrong with the stage's answer
	Outcome string          `json:"outcome,omitempty"` // what became of the stage's work
	Why     json.RawMessage `json:"why,omitempty"`     // the why-record behind the verdict
	Retry   int             `json:"-"`                 // seconds for Retry-After; 0: none
}

// Error returns the problem in words.
func (p *Problem) Error() string {
	text := "butterfly: " + strconv.Itoa(p.Status) + " " + p.title()
	if p.Stage != "" {
		text += " at stage " + p.Stage
	}
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	return text
}

func (p *Problem) title() string {
	if p.Title != "" {
		return p.Title
	}
	return http.StatusText(p.Status)
}

const problemType = "application/problem+json"

// answer is the problem as a stage's answer.
func (p *Problem) answer() *Answer {
	q := *p
	if q.Status < 400 || q.Status > 599 {
		q.Status = http.StatusInternalServerError
	}
	q.Title = q.title()
	body, err := json.Marshal(&q)
	if err != nil { // Why is no JSON
		q.Why = nil
		body, _ = json.Marshal(&q)
	}
	a := Reply(q.Status, problemType, body)
	if q.Retry > 0 {
		a.Header("Retry-After", strconv.Itoa(q.Retry))
	}
	return a
}

// statuses say which status a failure of a stage is, and after how many seconds another try may help.
var statuses = map[wire.Status]struct{ status, retry int }{
	wire.QueueFull: {http.StatusServiceUnavailable, 1}, wire.UnknownService: {http.StatusServiceUnavailable, 5}, wire.NoMatch: {http.StatusServiceUnavailable, 5},
	wire.BrokerGone: {http.StatusServiceUnavailable, 1}, wire.NotRegistered: {http.StatusServiceUnavailable, 1}, wire.Draining: {http.StatusServiceUnavailable, 1},
	wire.PeerSlow: {http.StatusServiceUnavailable, 1}, wire.Expired: {http.StatusGatewayTimeout, 0},
}

// problemOf makes a problem of a stage's error.
func problemOf(stage string, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	p = &Problem{Status: http.StatusBadGateway, Stage: stage, Detail: err.Error()}
	var e *assigner.Error
	if errors.As(err, &e) {
		p.Detail, p.Verdict, p.Outcome = e.Text, e.Status.String(), e.Outcome.String()
		if json.Valid(e.Why) {
			p.Why = e.Why
		}
		if s, ok := statuses[e.Status]; ok {
			p.Status, p.Retry = s.status, s.retry
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		p.Status, p.Retry = http.StatusGatewayTimeout, 0
	}
	return p
}
