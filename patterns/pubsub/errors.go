package pubsub

import (
	"context"
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// What callers branch on, with errors.Is. The typed error is *Error.
var (
	ErrClosed        = errors.New("closed")
	ErrBadTopic      = errors.New("not a topic")
	ErrTooManyTopics = errors.New("too many topics")
	ErrTooLarge      = errors.New("update too large")
	ErrNoAnswer      = errors.New("not every publisher has answered")
	ErrGap           = errors.New("updates are missing")
	ErrInsecure      = zmqsock.ErrInsecure // the cause of a *zmqsock.EndpointError, as New returns it
)

// Error is why an operation has failed. It matches its sentinel, and the context's error where that ended a wait, with errors.Is.
type Error struct {
	Op       string // publish, subscribe, receive
	Topic    string // or the prefix
	Endpoint string // of the publisher that is at fault, if one is
	Missed   uint64 // with ErrGap: how many updates
	Kind     error  // one of the sentinels
	Text     string // what, why, and what to do
	cause    error
}

// Error returns what, why, and what to do.
func (e *Error) Error() string {
	return fmt.Sprintf("pubsub: %s %q: %v: %s", e.Op, e.Topic, e.Kind, e.Text)
}

// Unwrap returns the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.cause}
}

// MaxTopic is the most bytes of a topic.
const MaxTopic = 255

// checkTopic judges a topic, or a prefix, which may be empty.
func checkTopic(op, topic string, prefix bool) error {
	bad := func(text string) error { return &Error{Op: op, Topic: topic, Kind: ErrBadTopic, Text: text} }
	switch {
	case topic == "" && !prefix:
		return bad("it is empty: name it (SubscribePrefix takes an empty prefix, for all topics)")
	case len(topic) > MaxTopic:
		return bad(fmt.Sprintf("it has %d bytes, %d are possible: use a shorter one", len(topic), MaxTopic))
	case topic != "" && topic[0] >= reserved:
		return bad("its first byte is 0xfe or 0xff, which no UTF-8 text has: the protocol uses these itself")
	}
	for i := range len(topic) {
		if topic[i] == 0 {
			return bad("it has a zero byte, which ends topics on the wire: leave it out")
		}
	}
	return nil
}

// closedError is for what is asked of something that has ended; why is nil after Close.
func closedError(op, topic string, why error) error {
	if why != nil {
		return &Error{Op: op, Topic: topic, Kind: ErrClosed, Text: "it has ended: " + why.Error(), cause: why}
	}
	return &Error{Op: op, Topic: topic, Kind: ErrClosed, Text: "it was closed before: make a new one", cause: nil}
}

func waitError(ctx context.Context, e *Error) error {
	e.cause = context.Cause(ctx)
	return e
}
