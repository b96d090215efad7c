package assigner

import (
	"context"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// Target says which of a service's workers may have a hit: exactly one of Worker, Member, Where and Key, and Absent (hit.md, section 18).
type Target = wire.Target

// What becomes of a hit while nobody can have it (Target.Absent).
const (
	AbsentWait = wire.AbsentWait // it waits for somebody who can; the default
	AbsentFail = wire.AbsentFail // it is refused: ErrNoMatch
)

// Member is one worker that may have hits of a service.
type Member struct {
	Worker string            `json:"worker"`
	ID     string            `json:"member"` // of this registration of it: Target.Member. A worker that registers again has another one
	Host   string            `json:"host"`
	PID    int               `json:"pid"`
	Lang   string            `json:"lang"`
	Slots  int               `json:"slots"`
	Labels map[string]string `json:"labels,omitempty"`
}

// Members returns the workers that offer a service at present, as far as the selector matches their labels; empty: all. They are the caller's, ordered by name.
// Of several brokers one that is there is asked. The error is an *Error.
func (c *Client) Members(ctx context.Context, service, where string) ([]Member, error) {
	return c.members(ctx, c.present, service, where)
}

func (c *Client) members(ctx context.Context, at func(context.Context) (*uplink, error), service, where string) ([]Member, error) {
	bad := func(s wire.Status, text string) error {
		return &Error{Status: s, Outcome: NeverStarted, Text: text, Service: service}
	}
	u, err := at(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := u.admin(ctx, map[string]string{"cmd": "members", "service": service, "where": where})
	if err != nil {
		return nil, u.name(err, service, 0)
	}
	var answer struct {
		Members []Member `json:"members"`
	}
	if err := machine.ReadReport(raw, &answer); err != nil {
		return nil, bad(wire.BadFrame, err.Error())
	}
	return answer.Members, nil
}
