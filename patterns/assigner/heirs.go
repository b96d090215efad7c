package assigner

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// heirs are what a client opens hits by, once a broker of its that drains has named others: a client of those. The hits that are open stay where they are
// until they end. It is safe for use by many goroutines.
type heirs struct {
	cfg     ClientConfig // of the client
	going   atomic.Pointer[chan struct{}]
	next    atomic.Pointer[Client] // set before going is closed, unless it could not be made
	mu      sync.Mutex
	leaving map[*uplink]bool // whose brokers drain; under the lock
	closed  bool             // under the lock
	made    sync.WaitGroup
}

// instead returns the client to ask in place of this one, nil where there is none. It waits for one that is being made, as long as ctx allows.
func (h *heirs) instead(ctx context.Context) *Client {
	going := h.going.Load()
	if going == nil {
		return nil
	}
	select {
	case <-*going:
		return h.next.Load()
	case <-ctx.Done():
		return nil
	}
}

// afterwards returns the client to ask once more what has come to err here, nil where there is none: what was opened, or may have run, stays where it is.
func (h *heirs) afterwards(ctx context.Context, err error) *Client {
	if !errors.Is(err, ErrDraining) {
		return nil
	}
	return h.instead(ctx)
}

// moved takes MOVED: hits are opened at the brokers it names from now on, and at those that the client knows and that do not drain. It runs on the loop.
func (c *Client) moved(u *uplink, m *wire.Message) {
	known := func(url string) bool {
		return slices.ContainsFunc(c.ups, func(o *uplink) bool { return o.cfg.Broker == url })
	}
	to, h := newBrokers(u.link, m, known), &c.heirs
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leaving == nil {
		h.leaving = make(map[*uplink]bool)
	}
	h.leaving[u] = true
	if len(to) == 0 || h.closed || h.going.Load() != nil {
		return // those it knows already take over, or another client does
	}
	cfg := h.cfg
	cfg.Broker, cfg.Brokers, cfg.Children = "", nil, nil // the embedder's own children run already
	for _, b := range h.cfg.endpoints() {
		if i := slices.IndexFunc(c.ups, func(o *uplink) bool { return o.cfg.Broker == b.URL }); !h.leaving[c.ups[i]] {
			cfg.Brokers = append(cfg.Brokers, b)
		}
	}
	for _, url := range to {
		cfg.Brokers = append(cfg.Brokers, BrokerRef{URL: url})
	}
	going := make(chan struct{})
	h.going.Store(&going)
	u.link.logger.Info("the broker sends this client to others", "broker", u.cfg.Broker, "to", to)
	h.made.Go(func() {
		defer close(going)
		next, err := Dial(context.Background(), cfg)
		if err != nil {
			u.link.logger.Error("the brokers that this client was sent to cannot be used", "to", to, "error", err)
			h.going.Store(nil)
			return
		}
		h.next.Store(next)
	})
}

// close closes the client's heir.
func (h *heirs) close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.made.Wait()
	if next := h.next.Load(); next != nil {
		return next.Close(ctx)
	}
	return nil
}
