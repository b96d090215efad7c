package assigner

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner/machine"
)

// BrokerRef is one of several brokers of a client.
type BrokerRef struct {
	URL    string // its endpoint for clients
	Weight int    // its share of the hits, against the others'; default 1
}

// maxWeight keeps sums of weights far from any overflow.
const maxWeight = 1 << 20

// defaultPatience is that of ClientConfig.Patience.
const defaultPatience = 250 * time.Millisecond

// endpoints returns the brokers, with all weights set.
func (c *ClientConfig) endpoints() []BrokerRef {
	if len(c.Brokers) == 0 {
		return []BrokerRef{{URL: c.Broker, Weight: 1}}
	}
	all := append([]BrokerRef{}, c.Brokers...)
	for i := range all {
		def(&all[i].Weight, 1)
	}
	return all
}

// checkBrokers judges Broker and Brokers.
func (c *ClientConfig) checkBrokers() error {
	if c.Broker != "" && len(c.Brokers) > 0 {
		return fmt.Errorf("assigner: ClientConfig has Broker %q and %d Brokers: set one of the two", c.Broker, len(c.Brokers))
	}
	seen := make(map[string]bool)
	for _, b := range c.endpoints() {
		if err := zmqsock.CheckEndpoint("connect", b.URL); err != nil {
			return err
		}
		if b.Weight < 1 || b.Weight > maxWeight {
			return fmt.Errorf("assigner: ClientConfig.Brokers: the weight of %s is %d: from 1 to %d are possible", b.URL, b.Weight, maxWeight)
		}
		if seen[b.URL] {
			return fmt.Errorf("assigner: ClientConfig.Brokers names %s twice: leave one of the two out", b.URL)
		}
		seen[b.URL] = true
	}
	return nil
}

// fleet hosts the machine that knows the brokers of a client who has several. It is safe for use by many goroutines.
type fleet struct {
	ups  []*uplink
	zero time.Time

	mu      sync.Mutex
	machine *machine.Fleet
	trips   map[*trip]struct{}
	up      chan struct{} // closed, and made anew, when a broker comes up
}

func newFleet(cfg *ClientConfig, ups []*uplink) *fleet {
	refs := cfg.endpoints()
	weights := make([]int, len(refs))
	for i, b := range refs {
		weights[i] = b.Weight
	}
	return &fleet{
		ups: ups, zero: time.Now(), machine: machine.NewFleet(cfg.Patience, weights...), trips: make(map[*trip]struct{}), up: make(chan struct{}),
	}
}

// now is the fleet's clock, which never stands at zero.
func (f *fleet) now() time.Duration { return time.Since(f.zero) + time.Minute }

// do has the machines decide something with all that was heard up to now.
func (f *fleet) do(decide func(now time.Duration) []machine.Do) []machine.Do {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, u := range f.ups {
		f.machine.Heard(i, time.Duration(u.heardAt.Load()))
	}
	return decide(f.now())
}

// came says that the client is registered at a broker. It runs on the loop.
func (f *fleet) came(u *uplink) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u.heardAt.Store(int64(f.now()))
	f.machine.Up(u.index, f.now())
	close(f.up)
	f.up = make(chan struct{})
	f.wake()
}

// left says that the connection to a broker is lost. It runs on the loop.
func (f *fleet) left(u *uplink) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.machine.Down(u.index)
	f.wake()
}

// heard says that a broker has said something. It runs on the loop, for every message.
func (f *fleet) heard(u *uplink) {
	u.heardAt.Store(int64(f.now()))
	if u.awaited.Swap(false) {
		f.mu.Lock()
		f.wake()
		f.mu.Unlock()
	}
}

// wake has all trips look again. The lock is held.
func (f *fleet) wake() {
	for t := range f.trips {
		select {
		case t.news <- struct{}{}:
		default:
		}
	}
}

// twin returns the uplink that is registered at the same broker already, by another endpoint; nil if there is none.
func (f *fleet) twin(u *uplink, incarnation string) *uplink {
	for _, other := range f.ups {
		if other == u {
			continue
		}
		other.mu.Lock()
		same := other.isUp && other.incarnation == incarnation
		other.mu.Unlock()
		if same {
			return other
		}
	}
	return nil
}

// ready waits until the client is registered at one of its brokers.
func (f *fleet) ready(ctx context.Context) error {
	for {
		f.mu.Lock()
		up := f.up
		f.mu.Unlock()
		if u, err := f.any(); u != nil || err != nil {
			return err
		}
		select {
		case <-up:
		case <-f.ups[0].over:
		case <-ctx.Done():
			return f.unreached(ctx)
		}
	}
}

// any returns an uplink that is registered, nil if there is none. The error says why there will never be one.
func (f *fleet) any() (*uplink, error) {
	var refused error
	for _, u := range f.ups {
		u.mu.Lock()
		is, end := u.isUp, u.end
		u.mu.Unlock()
		if end != nil {
			return nil, end.notStarted()
		}
		if is {
			return u, nil
		}
		select {
		case <-u.link.failed:
			refused = u.link.err
			continue
		default:
		}
	}
	for _, u := range f.ups {
		select {
		case <-u.link.failed:
		default:
			return nil, nil // it may come
		}
	}
	return nil, refused
}

// unreached is the error of a caller who has waited for all brokers in vain.
func (f *fleet) unreached(ctx context.Context) *Error {
	var reasons []string
	for _, u := range f.ups {
		u.mu.Lock()
		reason := u.reason
		u.mu.Unlock()
		reasons = append(reasons, u.cfg.Broker+" ("+reason+")")
	}
	return &Error{
		Status: wire.BrokerGone, Outcome: NeverStarted, cause: context.Cause(ctx),
		Text: fmt.Sprintf("none of the %d brokers is reached, or answers: %s: are they running?", len(f.ups), strings.Join(reasons, ", ")),
	}
}

// signs is what an uplink notes for its fleet.
type signs struct {
	index   int
	heardAt atomic.Int64 // when its broker last said something, by the fleet's clock
	awaited atomic.Bool  // somebody wants to know when it says something
}
