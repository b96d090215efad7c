package tasks

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Config says how tasks are submitted.
type Config struct {
	// Client says how brokers are reached. Of several brokers a task with an ID goes to the one that the ID chooses, others where there is room.
	Client assigner.ClientConfig
	// InFlight is how many tasks may be at the broker at the same time, waiting there or running; default 1000, as the broker's --max-queue. Further ones wait
	// here, in order.
	InFlight int
}

// Client submits tasks. It is safe for use by many goroutines.
type Client struct {
	cfg   Config
	calls *assigner.Client
	byURL []*assigner.Client // with several brokers, one for each, for tasks with ids

	resting sync.WaitGroup // tasks between two attempts

	mu      sync.Mutex
	waiting []*Handle // in order
	running int
	all     map[*Handle]struct{}
	closed  bool
	idle    chan struct{} // closed when a closed client has no task left
}

// Dial starts a client. It does not wait for brokers, which may be started later.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.InFlight < 0 {
		return nil, fmt.Errorf("tasks: Config.InFlight is %d: it may not be negative; 0 is 1000", cfg.InFlight)
	}
	if cfg.InFlight == 0 {
		cfg.InFlight = 1000
	}
	c := &Client{cfg: cfg, all: make(map[*Handle]struct{}), idle: make(chan struct{})}
	var err error
	if c.calls, err = assigner.Dial(ctx, cfg.Client); err != nil {
		return nil, err
	}
	if len(cfg.Client.Brokers) > 1 {
		for _, b := range cfg.Client.Brokers {
			one := cfg.Client
			one.Broker, one.Brokers, one.Children = b.URL, nil, nil
			x, err := assigner.Dial(ctx, one)
			if err != nil {
				return nil, errors.Join(err, c.hangUp(ctx))
			}
			c.byURL = append(c.byURL, x)
		}
	}
	return c, nil
}

// Calls returns the client of package assigner that tasks are submitted by, for hits of other kinds. It is closed with this one.
func (c *Client) Calls() *assigner.Client { return c.calls }

// at returns the client whose broker a task with this id belongs to: rendezvous hashing (Thaler and Ravishankar, 1998) over those that are there.
func (c *Client) at(id string) *assigner.Client {
	if id == "" || len(c.byURL) == 0 {
		return c.calls
	}
	order := slices.Clone(c.byURL)
	score := func(x *assigner.Client) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(id + "\x00" + c.cfg.Client.Brokers[slices.Index(c.byURL, x)].URL))
		return h.Sum64()
	}
	slices.SortFunc(order, func(a, b *assigner.Client) int {
		if score(a) > score(b) {
			return -1
		}
		return 1
	})
	for _, x := range order {
		if x.Registered() > 0 {
			return x
		}
	}
	return order[0]
}

// Submit begins a task and returns at once. What is wrong with the Spec is told by the handle, as what becomes of the task is: every task that was submitted
// ends, with an answer or an *Error. The context ends the task, as Handle.Cancel does.
func (c *Client) Submit(ctx context.Context, s Spec) *Handle { return c.submit(ctx, s, false) }

// Attach comes back for a task that was submitted with this ID before, by this client or another one, perhaps of a process that is gone. A task that nobody
// knows fails with assigner.ErrUnknownTask. The context ends the wait only, and so does Close; Handle.Cancel ends the task.
func (c *Client) Attach(ctx context.Context, service, id string) *Handle {
	return c.submit(ctx, Spec{Service: service, ID: id}, true)
}

// undated is a context that ends when another one does, but does not say when: that is not the task's Deadline.
type undated struct{ context.Context }

// Deadline is none.
func (undated) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *Client) submit(ctx context.Context, s Spec, attach bool) *Handle {
	h := &Handle{client: c, spec: s, attach: attach, begun: time.Now(), done: make(chan struct{})}
	if attach {
		h.ctx, h.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
		context.AfterFunc(ctx, func() { h.cancel(assigner.ErrLeave) })
	} else {
		h.ctx, h.cancel = context.WithCancelCause(undated{ctx})
	}
	if err := s.Validate(); err != nil {
		return h.refuse(err)
	}
	if attach && s.ID == "" {
		return h.refuse(errors.New("tasks: Attach without an id: name the task"))
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return h.refuse(ErrClosed)
	}
	c.all[h] = struct{}{}
	if c.running >= c.cfg.InFlight {
		h.queued = true
		c.waiting = append(c.waiting, h)
		c.mu.Unlock()
		context.AfterFunc(h.ctx, func() { c.withdraw(h) })
		return h
	}
	c.running++
	c.mu.Unlock()
	if !h.start() {
		c.over(h)
	}
	return h
}

// refuse ends a task that was never begun.
func (h *Handle) refuse(err error) *Handle {
	h.err = &Error{Service: h.spec.Service, ID: h.spec.ID, Outcome: assigner.NeverStarted, cause: []error{err}}
	h.cancel(nil)
	close(h.done)
	return h
}

// over takes the end of a task that has had its turn: the next one has it.
func (c *Client) over(h *Handle) {
	for next := c.turn(h); next != nil && !next.start(); next = c.turn(next) {
	}
}

// turn forgets a task that has run, and returns the next one, nil where none waits.
func (c *Client) turn(h *Handle) *Handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	delete(c.all, h)
	c.look()
	for len(c.waiting) > 0 {
		next := c.waiting[0]
		c.waiting[0] = nil
		if c.waiting = c.waiting[1:]; next.queued {
			next.queued = false
			c.running++
			return next
		}
	}
	return nil
}

// withdraw ends a task that still waits here.
func (c *Client) withdraw(h *Handle) {
	c.mu.Lock()
	if !h.queued {
		c.mu.Unlock()
		return
	}
	h.queued = false // it leaves the queue when its turn comes
	delete(c.all, h)
	c.look()
	c.mu.Unlock()
	h.refuse(context.Cause(h.ctx))
}

// look says that a closed client has no task left. The lock is held.
func (c *Client) look() {
	if c.closed && len(c.all) == 0 {
		select {
		case <-c.idle:
		default:
			close(c.idle)
		}
	}
}

// Close ends the client: tasks without an ID are cancelled, those with one go on at the broker, and all handles are over when it returns, unless ctx ends first.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	all := make([]*Handle, 0, len(c.all))
	for h := range c.all {
		all = append(all, h)
	}
	c.look()
	c.mu.Unlock()
	for _, h := range all {
		if h.spec.ID == "" {
			h.cancel(ErrClosed)
		} else {
			h.cancel(errLeft)
		}
	}
	select {
	case <-c.idle:
		return c.hangUp(ctx)
	case <-ctx.Done():
		return errors.Join(ctx.Err(), c.hangUp(ctx))
	}
}

// errLeft ends the handle of a task that goes on at the broker.
var errLeft = fmt.Errorf("%w: %w", ErrClosed, assigner.ErrLeave)

func (c *Client) hangUp(ctx context.Context) error {
	errs := []error{c.calls.Close(ctx)} // which ends what still runs
	for _, x := range c.byURL {
		errs = append(errs, x.Close(ctx))
	}
	c.resting.Wait()
	return errors.Join(errs...)
}
