package pool_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/pool"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
	"github.com/troupe-mq/troupe/test/harness"
)

// survey asks the members what they know, for a moment: one that hangs says nothing.
func (c *crew) survey() []wire.Status {
	ctx, cancel := context.WithTimeout(harness.Context(c.t), 200*time.Millisecond)
	defer cancel()
	all, _ := c.guest.Survey(ctx)
	return all
}

// TestFrozenMemberIsLost to the question, and is asked again when it is back.
func TestFrozenMemberIsLost(t *testing.T) {
	c := newCrew(t, 3, nil)
	c.sees(3)
	q := c.begin(c.members...)
	c.members[2].Freeze()
	c.end(q, map[*actor]string{c.members[0]: "answered", c.members[1]: "answered", c.members[2]: "lost FROZEN"})
	c.members[2].Thaw()
	c.sees(3)
	_, book, err := c.guest.Ask(harness.Context(t), []byte("well?"), pool.Options{}).Collect()
	require.NoError(t, err)
	require.Equal(t, 3, book.Count("answered"))
}

// TestElectionsAtOnce: many begin at the same moment, and one is master.
func TestElectionsAtOnce(t *testing.T) {
	c := newCrew(t, 1, nil)
	var all sync.WaitGroup
	var mu sync.Mutex
	var extra []*harness.Process
	for i := range 8 {
		cfg := c.config(fmt.Sprint("x", i))
		cfg.Logger = nil
		p := harness.Spawn(t, cfg.Name, "", "member", cfg)
		extra = append(extra, p)
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
			defer cancel()
			_, err := p.Line(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	c.sees(9)
	c.members[0].Kill()
	c.sees(8)
	masters := 0
	for _, s := range c.survey() {
		if s.Role == "master" {
			masters++
		}
	}
	require.Equal(t, 1, masters)
	_, term := c.master()
	require.EqualValues(t, 2, term, "the others were beaten to one term, not to several")
	for _, p := range extra {
		p.Kill()
	}
}
