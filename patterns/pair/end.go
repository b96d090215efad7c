package pair

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// End is one of two. All methods are safe for use from any goroutine.
type End struct {
	cfg     Config
	station *station.Station

	// The loop's alone.
	port  *station.Port
	token string // of the end that has dialed
	peer  []byte // routing id of the other end; nil at the one that has dialed
	fd    int    // its connection; -1: unknown
	lost  bool   // the connection is lost, and what it has brought is being read
	heard int    // in this turn
	out   *zmqsock.Out
	in    [][]byte

	mu      sync.Mutex
	changed chan struct{} // closed when anything of the following has changed
	paired  bool
	over    *Error // why nothing comes any more
	credit  int    // messages the other end has room for
	outbox  [][][]byte
	inbox   [][][]byte
	read    int // received, and not yet acknowledged
	stats   Stats
}

// Stats counts what an end has done.
type Stats struct {
	Paired         bool
	Sent, Received uint64
	Waiting        int    // messages that came and were not received
	Refused        uint64 // attempts of third ends
	Bad            uint64 // messages that make no sense
}

// Listen binds the endpoint and returns at once; the first that dials is the other end. It runs until Close or the end of ctx.
func Listen(ctx context.Context, cfg Config) (*End, error) {
	if err := cfg.check([]string{cfg.URL}, nil); err != nil {
		return nil, err
	}
	e, err := newEnd(cfg)
	if err != nil {
		return nil, err
	}
	e.port, err = e.station.Open(station.Spec{
		Config: zmqsock.Config{Kind: zmqsock.Router, MaxMsgSize: int64(e.cfg.MaxBody), Linger: linger},
		Bind:   []string{cfg.URL}, FDs: true, Hear: e.hearDialer,
		Notice: func(ev zmqsock.Event) {
			if ev.Kind == zmqsock.Disconnected && ev.FD == e.fd && e.peer != nil {
				e.lost = true
			}
		},
	})
	if err != nil {
		e.station.Abandon()
		return nil, err
	}
	e.station.Run(ctx)
	return e, nil
}

// Dial connects to the endpoint, which need not be there yet, and returns when the other end knows, or when wait ends. The end lives until Close or the end of ctx. Errors are
// *Error: ErrTaken, ErrGivenUp, ErrGone.
func Dial(ctx, wait context.Context, cfg Config) (*End, error) {
	if err := cfg.check(nil, []string{cfg.URL}); err != nil {
		return nil, err
	}
	e, err := newEnd(cfg)
	if err != nil {
		return nil, err
	}
	e.token = rand.Text()
	e.port, err = e.station.Open(station.Spec{
		Config:  zmqsock.Config{Kind: zmqsock.Dealer, MaxMsgSize: int64(e.cfg.MaxBody), Linger: linger},
		Connect: []string{cfg.URL}, Hear: e.hearListener, Notice: e.notice,
	})
	if err != nil {
		e.station.Abandon()
		return nil, err
	}
	if strings.HasPrefix(cfg.URL, "inproc://") {
		e.hello() // nothing is ever said of those connections
	}
	e.station.Run(ctx)
	if err := e.wait(wait, "dial"); err != nil {
		_ = e.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return e, nil
}

func newEnd(cfg Config) (*End, error) {
	e := &End{cfg: cfg, fd: -1, out: zmqsock.NewOut(), changed: make(chan struct{})}
	var err error
	e.station, err = station.New(station.Config{
		Name: "pair", Logger: cfg.Logger, Context: cfg.Context, Access: cfg.Access, Turn: e.turn, Pending: e.pending, End: e.end, Poison: cfg.Poison,
	})
	return e, err
}

// Addr returns the endpoint, with the port that was chosen.
func (e *End) Addr() string {
	if at := e.port.Addrs(); len(at) > 0 {
		return at[0]
	}
	return e.cfg.URL
}

// Wait waits until there is another end. Errors are *Error: ErrGivenUp, ErrGone, ErrClosed.
func (e *End) Wait(ctx context.Context) error { return e.wait(ctx, "wait") }

func (e *End) wait(ctx context.Context, op string) error {
	return e.await(ctx, op, func() (bool, error) {
		if e.paired {
			return true, nil
		}
		return false, e.why(op)
	})
}

// Send sends a message of 1 to 40 frames; the bytes are copied. It waits for the other end, and for room there. Errors are *Error: ErrGone, ErrClosed, ErrGivenUp,
// ErrTooLarge.
func (e *End) Send(ctx context.Context, body ...[]byte) error {
	if len(body) == 0 || len(body) > maxFrames {
		return &Error{Op: "send", Kind: ErrTooLarge, Text: fmt.Sprintf("%d frames: a message has from 1 to %d", len(body), maxFrames)}
	}
	m := clone(body)
	return e.await(ctx, "send", func() (bool, error) {
		if err := e.why("send"); err != nil || e.credit == 0 {
			return false, err
		}
		e.credit--
		e.stats.Sent++
		e.outbox = append(e.outbox, m)
		return true, nil
	})
}

// Receive returns the next message, which is the caller's own. Errors are *Error: ErrGone after the last message, ErrClosed, ErrGivenUp.
func (e *End) Receive(ctx context.Context) (body [][]byte, err error) {
	err = e.await(ctx, "receive", func() (bool, error) {
		if len(e.inbox) == 0 {
			return false, e.why("receive")
		}
		body, e.inbox[0] = e.inbox[0], nil
		e.inbox = e.inbox[1:]
		e.read++
		e.stats.Received++
		return true, nil
	})
	return body, err
}

// await tries until it is done, has failed, or ctx ends. What is tried runs under the lock.
func (e *End) await(ctx context.Context, op string, try func() (bool, error)) error {
	for {
		e.mu.Lock()
		done, err := try()
		changed, rouse := e.changed, e.owes()
		e.mu.Unlock()
		if done || err != nil {
			if rouse {
				e.station.Rouse()
			}
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &Error{Op: op, Kind: ErrGivenUp, Text: "at " + e.Addr() + ": is there another end, and does it receive?", cause: context.Cause(ctx)}
		}
	}
}

// why returns why nothing goes on, nil while it does.
func (e *End) why(op string) error {
	if e.over == nil {
		return nil
	}
	err := *e.over
	err.Op = op
	return &err
}

// Stats returns the counters so far.
func (e *End) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Paired, s.Waiting = e.paired && e.over == nil, len(e.inbox)
	return s
}

// Close ends the end; the other one is told after what was sent before. It returns why the end had ended before, if it had.
func (e *End) Close(ctx context.Context) error { return e.station.Close(ctx) }

// Done is closed when the end has been closed.
func (e *End) Done() <-chan struct{} { return e.station.Done() }
