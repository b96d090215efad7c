package pubsub

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// Subscriber receives the updates it has subscribed to, from any number of publishers and forwarders. All methods are safe for use from any goroutine.
type Subscriber struct {
	cfg     SubscriberConfig
	station *station.Station
	queue   *queue

	// The loop's alone.
	links   []*link
	filters map[string]int // how often subscribed
	asks    map[string]*ask
	sources map[uint64]*source
	out     *zmqsock.Out
	in      [][]byte
	hungry  []*stream  // those that wait for a history
	lost    uint64     // not yet told to publishers
	fresh   []*Message // of this turn, not handed over yet
	told    time.Duration

	count struct{ received, missed, caughtup, overflow, bad atomic.Uint64 }
}

// SubscriberStats counts what a subscriber has done.
type SubscriberStats struct {
	Received uint64 // updates that were queued for Receive
	Missed   uint64 // updates that did not come
	CaughtUp uint64 // updates that came out of a publisher's history
	Overflow uint64 // updates that found the queue full; they are missed, or caught up with later
	Bad      uint64 // messages that make no sense
	Waiting  int    // updates that wait for Receive
	// Publishers are the endpoints connected to.
	Publishers []PublisherState
}

// PublisherState is how it stands with one endpoint.
type PublisherState struct {
	Endpoint  string
	Connected bool          // as far as can be known: over inproc it never can
	Silent    time.Duration // since something came, heartbeats included
}

// NewSubscriber connects and runs a subscriber, until Close or the end of ctx. It has subscribed to nothing yet.
func NewSubscriber(ctx context.Context, cfg SubscriberConfig) (*Subscriber, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Subscriber{
		cfg: cfg, queue: newQueue(cfg.Queue), filters: make(map[string]int), asks: make(map[string]*ask),
		sources: make(map[uint64]*source), out: zmqsock.NewOut(),
	}
	var err error
	s.station, err = station.New(station.Config{
		Name: "subscriber", Logger: cfg.Logger, Context: cfg.Context, Access: cfg.Access, Turn: s.turn, End: s.end, Poison: cfg.Poison,
	})
	if err != nil {
		return nil, err
	}
	for _, ep := range cfg.Connect {
		if err := s.link(ep); err != nil {
			s.station.Abandon()
			return nil, err
		}
	}
	s.station.Run(ctx)
	return s, nil
}

// Subscribe asks for one topic. It returns nil when all publishers know: what is published from then on comes. With last values these have been queued
// before. Errors are *Error: ErrBadTopic, ErrClosed, and ErrNoAnswer where ctx has ended first; the subscription stays in force then. With Plain
// publishers, who answer nothing, it returns when the subscription was handed to libzmq, and the first updates may be lost.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) error {
	return s.subscribe(ctx, topic, false)
}

// SubscribePrefix asks for all topics that begin with a prefix, and is like Subscribe otherwise. The empty prefix asks for all.
func (s *Subscriber) SubscribePrefix(ctx context.Context, prefix string) error {
	return s.subscribe(ctx, prefix, true)
}

func (s *Subscriber) subscribe(ctx context.Context, topic string, prefix bool) error {
	if err := checkTopic("subscribe", topic, prefix); err != nil {
		return err
	}
	filter := s.filter(topic, prefix)
	w := &waiter{done: make(chan struct{})}
	if !s.station.Do(func() { s.add(filter, w) }) {
		return closedError("subscribe", topic, s.station.Err())
	}
	select {
	case <-w.done:
		return nil
	case <-s.station.Done():
		return closedError("subscribe", topic, s.station.Err())
	case <-ctx.Done():
		return waitError(ctx, s.unanswered(topic, w))
	}
}

// filter is a topic on the wire. Plain publishers end topics as they like.
func (s *Subscriber) filter(topic string, prefix bool) string {
	if prefix || s.cfg.Plain {
		return topic
	}
	return topic + "\x00"
}

// Unsubscribe takes one Subscribe back. It does not wait: updates that are on their way still come.
func (s *Subscriber) Unsubscribe(topic string) error { return s.unsubscribe(topic, false) }

// UnsubscribePrefix takes one SubscribePrefix back.
func (s *Subscriber) UnsubscribePrefix(prefix string) error { return s.unsubscribe(prefix, true) }

func (s *Subscriber) unsubscribe(topic string, prefix bool) error {
	if err := checkTopic("unsubscribe", topic, prefix); err != nil {
		return err
	}
	if !s.station.Do(func() { s.remove(s.filter(topic, prefix)) }) {
		return closedError("unsubscribe", topic, s.station.Err())
	}
	return nil
}

// Receive returns the next update. Errors are the context's own, ErrClosed (*Error) after the end, when nothing is left, and with the policy Fail ErrGap, after which the
// next Receive goes on.
func (s *Subscriber) Receive(ctx context.Context) (*Message, error) {
	for {
		if m := s.queue.take(); m != nil {
			return m, m.err
		}
		select {
		case <-s.queue.ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.station.Done():
			if m := s.queue.take(); m != nil {
				return m, m.err
			}
			return nil, closedError("receive", "", s.station.Err())
		}
	}
}

// Stats returns the counters so far.
func (s *Subscriber) Stats() SubscriberStats {
	c := &s.count
	st := SubscriberStats{
		Received: c.received.Load(), Missed: c.missed.Load(), CaughtUp: c.caughtup.Load(), Overflow: c.overflow.Load(), Bad: c.bad.Load(),
		Waiting: s.queue.len(),
	}
	now := s.station.Now()
	for _, l := range s.links {
		st.Publishers = append(st.Publishers, PublisherState{l.endpoint, l.connected.Load(), now - time.Duration(l.heard.Load())})
	}
	return st
}

// Close ends the subscriber. It returns why it had ended before, if it had.
func (s *Subscriber) Close(ctx context.Context) error { return s.station.Close(ctx) }

// Done is closed when the subscriber has ended.
func (s *Subscriber) Done() <-chan struct{} { return s.station.Done() }
