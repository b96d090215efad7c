package e2e_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
	"github.com/troupe-mq/troupe/test/e2e/internal/tls"
)

// diary is a service that notes what happens to its sessions, and on which thread.
type diary struct {
	notes chan note
	on    func(ctx context.Context, c *assigner.Call) ([]byte, error) // what a call does besides; nil: nothing
	shut  func() error                                                // what Close does besides; nil: nothing
}

type note struct {
	what   string
	thread int
	hit    uint64
}

func newDiary() *diary { return &diary{notes: make(chan note, 1<<12)} }

func (d *diary) service() assigner.Service {
	return assigner.Service{Open: func(_ context.Context, o *assigner.Opening) (assigner.Session, error) {
		d.notes <- note{"open", tls.Thread(), o.Hit}
		return &page{d, o.Hit}, nil
	}}
}

// expect takes the next note, which must say this, and returns its thread.
func (d *diary) expect(t testing.TB, what string) int {
	t.Helper()
	n := rig.Receive(t, d.notes, "the note "+what)
	require.Equal(t, what, n.what)
	return n.thread
}

// page is one session's.
type page struct {
	d   *diary
	hit uint64
}

// Call is assigner.Session's.
func (p *page) Call(ctx context.Context, c *assigner.Call) ([]byte, error) {
	p.d.notes <- note{"call " + string(c.Body()), tls.Thread(), p.hit}
	if p.d.on != nil {
		return p.d.on(ctx, c)
	}
	return nil, nil
}

// Close is assigner.Session's.
func (p *page) Close() error {
	p.d.notes <- note{"close", tls.Thread(), p.hit}
	if p.d.shut != nil {
		return p.d.shut()
	}
	return nil
}
