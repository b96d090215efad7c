package reqrep

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// Client asks servers. All methods are safe for use from any goroutine.
type Client struct {
	cfg     ClientConfig
	token   uint64
	station *station.Station

	// The loop's alone.
	servers []*server
	current int // the server that is asked
	calls   map[uint64]*Call
	clock   []alarm // in order: all tries take equally long
	out     *zmqsock.Out
	in      [][]byte

	mu     sync.Mutex
	fresh  []*Call
	next   uint64
	open   int
	closed bool
	count  struct{ answered, retries, late, bad atomic.Uint64 }
}

// server is one endpoint.
type server struct {
	endpoint string
	port     *station.Port
	heard    time.Duration
}

// alarm is when a try of a request is over.
type alarm struct {
	at     time.Duration
	number uint64
	try    int
}

// Call is a request under way. All methods are safe for use from any goroutine.
type Call struct {
	client *Client
	number uint64
	body   [][]byte
	done   chan struct{}

	// The loop's until done.
	tries  int
	at     *server
	since  time.Duration
	answer [][]byte
	err    error
}

// ClientStats counts what a client has done.
type ClientStats struct {
	Open              int    // requests under way
	Answered, Retries uint64 // Retries: tries after the first
	Late              uint64 // answers that nobody waited for any more
	Bad               uint64 // messages that make no sense
}

// NewClient connects and runs a client, until Close or the end of ctx. Servers need not be there yet.
func NewClient(ctx context.Context, cfg ClientConfig) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	station.Default(&cfg.Timeout, 2500*time.Millisecond)
	station.Default(&cfg.Tries, 3)
	station.Default(&cfg.Window, 1000)
	station.Default(&cfg.MaxBody, 1<<20)
	cfg.Logger = station.Logger(cfg.Logger)
	var r [8]byte
	_, _ = rand.Read(r[:])
	c := &Client{cfg: cfg, token: binary.BigEndian.Uint64(r[:]) | 1, calls: make(map[uint64]*Call), out: zmqsock.NewOut()}
	var err error
	c.station, err = station.New(station.Config{
		Name: "client", Logger: cfg.Logger, Context: cfg.Context, Access: cfg.Access, Turn: c.turn, Pending: c.pending, End: c.end, Poison: cfg.Poison,
	})
	if err != nil {
		return nil, err
	}
	for _, ep := range cfg.Connect {
		s := &server{endpoint: ep}
		c.servers = append(c.servers, s)
		if err := c.connect(s); err != nil {
			c.station.Abandon()
			return nil, err
		}
	}
	c.station.Run(ctx)
	return c, nil
}

func (c *Client) connect(s *server) error {
	var err error
	s.port, err = c.station.Open(station.Spec{
		Config:  zmqsock.Config{Kind: zmqsock.Dealer, MaxMsgSize: 2 * int64(c.cfg.MaxBody), RecvHWM: -1, Linger: time.Millisecond}, // what is a little too large gets an error that says so
		Connect: []string{s.endpoint},
		Hear:    func(in *zmqsock.In, i int) { c.hear(s, in, i) },
	})
	return err
}

// Call asks, and waits for the answer, as often and as long as the config says, or until ctx ends. Errors are *Error.
func (c *Client) Call(ctx context.Context, body ...[]byte) ([][]byte, error) {
	call, err := c.Go(body...)
	if err != nil {
		return nil, err
	}
	return call.Wait(ctx)
}

// Go asks, and does not wait. The bytes are copied. Errors are *Error: ErrTooMany, ErrTooLarge, ErrClosed.
func (c *Client) Go(body ...[]byte) (*Call, error) {
	if len(body) == 0 || len(body) > maxFrames {
		return nil, &Error{Kind: ErrTooLarge, Outcome: NeverStarted, Text: "a request has from 1 to 40 frames"}
	}
	call := &Call{client: c, body: clone(body), done: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, c.closedError(0, NeverStarted)
	case c.open >= c.cfg.Window:
		return nil, &Error{Kind: ErrTooMany, Outcome: NeverStarted, Text: "ClientConfig.Window requests are under way: wait for answers, or raise it"}
	}
	c.open++
	c.next++
	call.number = c.next
	if c.fresh = append(c.fresh, call); len(c.fresh) == 1 {
		c.station.Rouse()
	}
	return call, nil
}

// Wait returns the answer, which is the caller's own, or why there is none. When ctx ends first the request is given up: an answer that comes yet is late. It may be called
// any number of times.
func (call *Call) Wait(ctx context.Context) ([][]byte, error) {
	select {
	case <-call.done:
		return call.answer, call.err
	case <-ctx.Done():
	}
	call.client.station.Do(func() {
		call.client.finish(call, nil, &Error{
			Kind: ErrNoAnswer, Outcome: Unknown, Tries: call.tries, Server: call.asked(), Text: "the caller's context has ended", cause: context.Cause(ctx),
		})
	})
	<-call.done // soon: the loop waits for nobody
	return call.answer, call.err
}

// Done is closed when Wait would not wait.
func (call *Call) Done() <-chan struct{} { return call.done }

func (call *Call) over() bool {
	select {
	case <-call.done:
		return true
	default:
		return false
	}
}

func (call *Call) asked() string {
	if call.at == nil {
		return ""
	}
	return call.at.endpoint
}

// Stats returns the counters so far.
func (c *Client) Stats() ClientStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ClientStats{Open: c.open, Answered: c.count.answered.Load(), Retries: c.count.retries.Load(), Late: c.count.late.Load(), Bad: c.count.bad.Load()}
}

// Close ends the client; requests under way end with ErrClosed. It returns why the client had ended before, if it had.
func (c *Client) Close(ctx context.Context) error { return c.station.Close(ctx) }

// Done is closed when the client has ended.
func (c *Client) Done() <-chan struct{} { return c.station.Done() }
