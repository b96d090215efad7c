package pubsub

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
	"github.com/troupe-mq/troupe/patterns/pubsub/machine"
)

// Publisher sends updates to whoever has subscribed to their topics. All methods are safe for use from any goroutine.
type Publisher struct {
	cfg     PublisherConfig
	epoch   uint64
	station *station.Station
	port    *station.Port
	in      [][]byte // the loop's: frames of the message at hand
	readers readers  // the loop's, but for its snapshot
	lull    lull     // the same
	beat    time.Duration

	mu     sync.Mutex
	room   *sync.Cond // out is no longer full
	book   machine.Book
	out    *zmqsock.Out // being written
	back   *zmqsock.Out // being sent; the loop's
	closed bool
	stats  PublisherStats
}

// PublisherStats counts what a publisher has done.
type PublisherStats struct {
	Published uint64 // updates
	Topics    int
	Requests  uint64 // answered: subscriptions that wait for that, and questions for the history
	Bad       uint64 // messages of subscribers that make no sense
	// Subscribers are those that have given a name; others are there without one. Slow are those of all that are behind, or have told of losses.
	Subscribers []string
	Slow        []Slow
	// Disconnected is how many connections were ended because nothing was taken there (PublisherConfig.Disconnect).
	Disconnected uint64
}

// Slow is a subscriber that does not keep up.
type Slow struct {
	Name    string        // as it calls itself, or its address
	For     time.Duration // how long it has taken nothing; 0: it takes, but too slowly
	Waiting int           // bytes in the kernel that it has not taken
	Lost    uint64        // updates that it says it has lost since it was connected
}

// What may be written and not yet sent, before Publish waits for the sockets' goroutine, which waits for nobody.
const (
	maxUnsent      = 4096
	maxUnsentBytes = 8 << 20
)

// NewPublisher binds and runs a publisher, until Close or the end of ctx.
func NewPublisher(ctx context.Context, cfg PublisherConfig) (*Publisher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	p := &Publisher{cfg: cfg, out: zmqsock.NewOut(), back: zmqsock.NewOut()}
	p.room = sync.NewCond(&p.mu)
	p.book = machine.Book{Max: cfg.MaxTopics, Keep: cfg.History}
	if cfg.LastValue {
		p.book.Keep = max(p.book.Keep, 1)
	}
	var b [8]byte
	_, _ = rand.Read(b[:])
	p.epoch = binary.BigEndian.Uint64(b[:]) | 1 // never 0
	p.readers = readers{patience: cfg.Slow, disconnect: cfg.Disconnect, logger: cfg.Logger}
	var err error
	p.station, err = station.New(station.Config{
		Name: "publisher", Logger: cfg.Logger, Context: cfg.Context, Access: cfg.Access,
		Turn: p.turn, Pending: p.pending, End: p.end, Poison: cfg.Poison, Spin: 20,
	})
	if err != nil {
		return nil, err
	}
	p.port, err = p.station.Open(station.Spec{
		Config: zmqsock.Config{Kind: zmqsock.XPub, SendHWM: cfg.Queue, MaxMsgSize: maxAsk + 1},
		Bind:   cfg.Bind, Hear: p.hear, Notice: p.notice, FDs: true,
	})
	if err != nil {
		p.station.Abandon()
		return nil, err
	}
	p.station.Run(ctx)
	return p, nil
}

// Addrs returns the endpoints bound, with the ports that were chosen.
func (p *Publisher) Addrs() []string { return p.port.Addrs() }

// Publish sends an update to everybody who has subscribed to its topic; the bytes are copied. It does not wait for subscribers. Errors are *Error: ErrBadTopic,
// ErrTooLarge, ErrTooManyTopics, ErrClosed.
func (p *Publisher) Publish(topic string, body ...[]byte) error {
	size := 0
	for _, f := range body {
		size += len(f)
	}
	if size > p.cfg.MaxBody || len(body) > maxFrames {
		return tooLarge(topic, size, len(body), p.cfg.MaxBody)
	}
	p.mu.Lock()
	for !p.closed && (p.out.Len() >= maxUnsent || p.out.Bytes() >= maxUnsentBytes) {
		p.room.Wait()
	}
	if p.closed {
		p.mu.Unlock()
		return closedError("publish", topic, p.station.Err())
	}
	t, err := p.next(topic)
	if err != nil {
		p.mu.Unlock()
		return err
	}
	p.book.Record(t, body)
	p.stats.Published++
	p.update(t, body)
	p.mu.Unlock()
	p.station.Rouse()
	return nil
}

// next numbers an update; p.mu is held.
func (p *Publisher) next(topic string) (*machine.Topic, error) {
	if t := p.book.Find(topic); t != nil {
		t.Seq++
		return t, nil
	}
	if err := checkTopic("publish", topic, false); err != nil {
		return nil, err
	}
	if t := p.book.Next(topic); t != nil {
		return t, nil
	}
	return nil, &Error{Op: "publish", Topic: topic, Kind: ErrTooManyTopics, Text: "PublisherConfig.MaxTopics are there already: use fewer, or raise it"}
}

// update adds an update to the batch; p.mu is held. Each frame costs libzmq as much as a message, for every subscriber.
func (p *Publisher) update(t *machine.Topic, body [][]byte) {
	h := header{kind: update, bare: len(body) == 0, epoch: p.epoch, seq: t.Seq}.bytes()
	p.out.Add(p.port.Sock, nil, false)
	if len(body) == 0 {
		p.out.Join(t.Frame, h[:], nil)
		return
	}
	p.out.Join(t.Frame, h[:], body[0])
	for _, f := range body[1:] {
		p.out.Append(f)
	}
}

// write adds an answer to the batch; p.mu is held.
func (p *Publisher) write(first []byte, h header, body [][]byte) {
	p.out.Add(p.port.Sock, nil, false)
	p.out.Append(first)
	b := h.bytes()
	p.out.Append(b[:])
	for _, f := range body {
		p.out.Append(f)
	}
}

func (p *Publisher) pending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Len() > 0
}

// turn sends what was written, and does what is due.
func (p *Publisher) turn(now time.Duration) (int, time.Duration) {
	if now >= p.beat {
		p.beat = now + p.cfg.Beat
		p.mu.Lock()
		p.write([]byte(beatTopic), header{kind: heartbeat, epoch: p.epoch, seq: p.stats.Published}, nil)
		p.mu.Unlock()
	}
	wait := p.readers.look(now)
	p.mu.Lock()
	p.out, p.back = p.back, p.out
	p.mu.Unlock()
	p.room.Broadcast()
	n := p.back.Len()
	p.back.Send() // an XPUB takes everything: what a subscriber has no room for is lost to that one
	p.back.Reset()
	return n, max(min(wait, p.beat-now), 0)
}

// end makes Publish fail, and frees what is not the socket's.
func (p *Publisher) end() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.room.Broadcast()
	p.out.Free()
	p.back.Free()
}

// Stats returns the counters so far.
func (p *Publisher) Stats() PublisherStats {
	p.mu.Lock()
	s := p.stats
	s.Topics = p.book.Len()
	p.mu.Unlock()
	s.Subscribers, s.Slow, s.Disconnected = p.readers.snapshot()
	return s
}

// Close sends what was published and ends the publisher; subscribers stay subscribed and wait for another one. It returns why the publisher had ended before, if
// it had.
func (p *Publisher) Close(ctx context.Context) error { return p.station.Close(ctx) }

// Done is closed when the publisher has ended.
func (p *Publisher) Done() <-chan struct{} { return p.station.Done() }
