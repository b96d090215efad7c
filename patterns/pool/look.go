package pool

import (
	"context"
	"fmt"

	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// Look asks every living member of a pool on this host what it knows, past the master, and without becoming a member or a guest: so it works while the master hangs. Silent says who has
// not answered when ctx has ended. The error is ErrNobody where there is no member.
func Look(ctx context.Context, cfg Config) (all []wire.Status, silent, err error) {
	m, err := begin(cfg, true)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = m.Close(context.WithoutCancel(ctx)) }()
	if len(m.dir.living()) == 0 {
		return nil, nil, fmt.Errorf("pool: %s in %s: %w: `troupe pool join %s` makes a member", cfg.Pool, m.cfg.RunDir, ErrNobody, cfg.Pool)
	}
	all, silent = m.Survey(ctx)
	return all, silent, nil
}
