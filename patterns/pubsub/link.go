package pubsub

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// link is the connection to one endpoint.
type link struct {
	endpoint string
	port     *station.Port
	made     int     // handshakes so far
	last     *stream // that the last update was of

	connected atomic.Bool
	heard     atomic.Int64 // when something came, by the station's clock
}

// waiter is a Subscribe that waits for the endpoints that have not answered yet.
type waiter struct {
	left map[*link]bool // the loop's
	done chan struct{}
}

// ask is a request under way to one endpoint.
type ask struct {
	link   *link
	waiter *waiter // of KNOW, nil where nobody waits
	filter string
	stream *stream       // of PAST
	again  time.Duration // of KNOW: when it is asked again
	pause  time.Duration
}

// firstPause and longestPause bound how long an answer to KNOW is waited for before it is asked for again: a publisher that sends more than can be
// taken drops answers like everything else.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

func (s *Subscriber) link(ep string) error {
	l := &link{endpoint: ep}
	var err error
	l.port, err = s.station.Open(station.Spec{
		Config:  zmqsock.Config{Kind: zmqsock.XSub, RecvHWM: s.cfg.Queue, MaxMsgSize: int64(s.cfg.MaxBody)},
		Connect: []string{ep},
		Hear:    func(in *zmqsock.In, i int) { s.hear(l, in, i) },
		Notice:  func(e zmqsock.Event) { s.notice(l, e) },
	})
	if err != nil {
		return err
	}
	s.links = append(s.links, l)
	if !s.cfg.Plain {
		s.say(l, zmqsock.Subscription(beatTopic, true))
	}
	return nil
}

// say writes one frame to an endpoint.
func (s *Subscriber) say(l *link, frame []byte) {
	s.out.Add(l.port.Sock, nil, false)
	s.out.Append(frame)
}

// add subscribes everywhere, and asks to be told when that is known.
func (s *Subscriber) add(filter string, w *waiter) {
	s.filters[filter]++
	w.left = make(map[*link]bool, len(s.links))
	for _, l := range s.links {
		s.say(l, zmqsock.Subscription(filter, true))
		if !s.cfg.Plain {
			w.left[l] = true
			s.request(&ask{link: l, waiter: w, filter: filter}, knowRequest(newNonce(), s.cfg.Name, filter))
		}
	}
	if len(w.left) == 0 {
		close(w.done)
	}
}

func (s *Subscriber) remove(filter string) {
	if s.filters[filter] == 0 {
		return
	}
	if s.filters[filter]--; s.filters[filter] == 0 {
		delete(s.filters, filter)
	}
	for _, l := range s.links {
		s.say(l, zmqsock.Subscription(filter, false)) // libzmq counts, too
	}
}

// request subscribes to the answers. libzmq does so again after each loss of the connection, until they have come.
func (s *Subscriber) request(a *ask, text string) {
	s.asks[text] = a
	if a.stream == nil {
		a.pause = max(firstPause, min(2*a.pause, longestPause))
		a.again = s.station.Now() + a.pause
	}
	s.say(a.link, zmqsock.Subscription(text, true))
}

// repeat asks again, by another nonce, what was not answered in time. It returns when it wants to be called again, -1: not of itself.
func (s *Subscriber) repeat(now time.Duration) time.Duration {
	wait := time.Duration(-1)
	for text, a := range s.asks {
		switch {
		case a.stream != nil:
			continue
		case now >= a.again:
			delete(s.asks, text)
			s.say(a.link, zmqsock.Subscription(text, false))
			s.request(a, knowRequest(again+newNonce(), s.cfg.Name, a.filter))
		}
		if d := max(a.again-now, 0); wait < 0 || d < wait {
			wait = d
		}
	}
	return wait
}

// answered ends a request.
func (s *Subscriber) answered(text string, a *ask) {
	delete(s.asks, text)
	s.say(a.link, zmqsock.Subscription(text, false))
	s.hand() // whoever waits for the answer finds what came before it
	if w := a.waiter; w != nil && w.left[a.link] {
		if delete(w.left, a.link); len(w.left) == 0 {
			close(w.done)
		}
	}
}

// notice takes what happens to a connection. After each new one the endpoint is asked where the topics stand: it may be another publisher, and what was
// published meanwhile is missing.
func (s *Subscriber) notice(l *link, e zmqsock.Event) {
	switch e.Kind {
	case zmqsock.Established:
		l.connected.Store(true)
		if l.made++; l.made > 1 && !s.cfg.Plain {
			for filter := range s.filters {
				s.request(&ask{link: l, filter: filter}, knowRequest(newNonce(), s.cfg.Name, filter))
			}
		}
	case zmqsock.Disconnected:
		l.connected.Store(false)
		s.cfg.Logger.Info("the connection to a publisher is lost", "endpoint", l.endpoint)
	case zmqsock.Refused:
		s.cfg.Logger.Warn("a publisher does not let this subscriber in", "endpoint", l.endpoint, "reason", e.Failure)
	}
}

// unanswered names who has not answered.
func (s *Subscriber) unanswered(topic string, w *waiter) *Error {
	var missing []string
	asked := make(chan struct{})
	if s.station.Do(func() {
		for l := range w.left {
			state := "not reached"
			if l.connected.Load() {
				state = "connected, but silent: is it a plain publisher (SubscriberConfig.Plain)?"
			}
			missing = append(missing, fmt.Sprintf("%s (%s)", l.endpoint, state))
		}
		close(asked)
	}) {
		<-asked
	}
	e := &Error{Op: "subscribe", Topic: topic, Kind: ErrNoAnswer, Text: strings.Join(missing, ", ") + ": is it running? The subscription stays in force"}
	if len(missing) == 1 {
		e.Endpoint, _, _ = strings.Cut(missing[0], " ")
	}
	return e
}
