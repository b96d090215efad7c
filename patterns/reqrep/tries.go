package reqrep

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

func (c *Client) pending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.fresh) > 0
}

// turn begins what is new, tries again what has taken too long, and sends.
func (c *Client) turn(now time.Duration) (int, time.Duration) {
	c.mu.Lock()
	fresh := c.fresh
	c.fresh = nil
	c.mu.Unlock()
	for _, call := range fresh {
		if call.over() {
			continue // given up before it began
		}
		c.calls[call.number] = call
		c.try(call, now)
	}
	wait := time.Duration(-1)
	for len(c.clock) > 0 {
		a := c.clock[0]
		if a.at > now {
			wait = a.at - now
			break
		}
		c.clock = c.clock[1:]
		if call := c.calls[a.number]; call != nil && call.tries == a.try {
			c.overdue(call, now)
		}
	}
	n := c.out.Len()
	c.out.Send()
	c.out.Reset()
	return n, wait
}

// try sends a request, once more.
func (c *Client) try(call *Call, now time.Duration) {
	if call.tries > 0 {
		c.count.retries.Add(1)
	}
	call.tries++
	call.at, call.since = c.servers[c.current], now
	c.clock = append(c.clock, alarm{now + c.cfg.Timeout, call.number, call.tries})
	c.out.Add(call.at.port.Sock, nil, false)
	c.out.Append(makeID(c.token, call.number))
	c.out.Append(nil)
	for _, f := range call.body {
		c.out.Append(f)
	}
}

// overdue deals with a try that was not answered in time. A server from which nothing was heard meanwhile gets a fresh connection, and the next one its turn.
func (c *Client) overdue(call *Call, now time.Duration) {
	s := call.at
	if s.heard <= call.since && (s.port != nil) {
		c.cfg.Logger.Warn("no answer: the connection is made anew", "server", s.endpoint, "timeout", c.cfg.Timeout, "try", call.tries)
		c.out.Send() // what others have written to it
		c.out.Reset()
		c.station.Shut(s.port)
		s.heard = now
		if err := c.connect(s); err != nil {
			s.port = nil
			c.finish(call, nil, &Error{Kind: ErrNoAnswer, Outcome: Unknown, Tries: call.tries, Server: s.endpoint, Text: "the connection cannot be made anew: " + err.Error(), cause: err})
			return
		}
		if c.servers[c.current] == s {
			c.current = (c.current + 1) % len(c.servers)
		}
	}
	if call.tries >= c.cfg.Tries {
		c.finish(call, nil, &Error{
			Kind: ErrNoAnswer, Outcome: Unknown, Tries: call.tries, Server: s.endpoint,
			Text: fmt.Sprintf("%d tries of %v each, the last at %s: is a server running there? Raise Timeout if it is slow", call.tries, c.cfg.Timeout, s.endpoint),
		})
		return
	}
	c.try(call, now)
}

// hear takes an answer.
func (c *Client) hear(s *server, in *zmqsock.In, i int) {
	s.heard = c.station.Now()
	c.in = in.Frames(i, c.in[:0])
	if len(c.in) < 2 || !isID(c.in[0]) || len(c.in[1]) != 0 || binary.BigEndian.Uint64(c.in[0][4:]) != c.token {
		c.count.bad.Add(1)
		return
	}
	call, status := c.calls[binary.BigEndian.Uint64(c.in[0][12:])], c.in[0][statusAt]
	if call == nil {
		c.count.late.Add(1)
		return
	}
	for _, f := range c.in[2:] {
		if len(f) > c.cfg.MaxBody {
			c.count.bad.Add(1)
			c.finish(call, nil, &Error{Kind: ErrTooLarge, Outcome: Finished, Tries: call.tries, Server: s.endpoint, Text: fmt.Sprintf(
				"the answer has a frame of %d bytes, and ClientConfig.MaxBody allows %d: raise it, or have the server answer in smaller frames", len(f), c.cfg.MaxBody)})
			return
		}
	}
	body := clone(c.in[2:])
	text := ""
	if len(body) > 0 {
		text = string(body[0])
	}
	switch status {
	case statusOK:
		c.count.answered.Add(1)
		c.finish(call, body, nil)
	case statusBusy:
		c.busy(call, s, text)
	default:
		c.count.answered.Add(1)
		c.finish(call, nil, &Error{Kind: ErrService, Outcome: Finished, Tries: call.tries, Server: s.endpoint, Text: text})
	}
}

// busy asks another server, if there is one that was not asked.
func (c *Client) busy(call *Call, s *server, text string) {
	if call.tries >= min(c.cfg.Tries, len(c.servers)) {
		outcome := NeverStarted
		if call.tries > 1 {
			outcome = Unknown
		}
		c.finish(call, nil, &Error{Kind: ErrBusy, Outcome: outcome, Tries: call.tries, Server: s.endpoint, Text: text + ": ask again later, or give it more workers"})
		return
	}
	if c.servers[c.current] == s {
		c.current = (c.current + 1) % len(c.servers)
	}
	c.try(call, c.station.Now())
}

// finish ends a request, once.
func (c *Client) finish(call *Call, answer [][]byte, err error) {
	if call.over() {
		return
	}
	delete(c.calls, call.number)
	call.answer, call.err = answer, err
	c.mu.Lock()
	c.open--
	c.mu.Unlock()
	close(call.done)
}

func (c *Client) closedError(tries int, outcome Outcome) error {
	e := &Error{Kind: ErrClosed, Outcome: outcome, Tries: tries, Text: "the client was closed: make a new one"}
	if why := c.station.Err(); why != nil {
		e.Text, e.cause = "the client has ended: "+why.Error(), why
	}
	return e
}

func (c *Client) end() {
	c.mu.Lock()
	c.closed = true
	fresh := c.fresh
	c.fresh = nil
	c.mu.Unlock()
	for _, call := range fresh {
		c.finish(call, nil, c.closedError(0, NeverStarted))
	}
	for _, call := range c.calls {
		c.finish(call, nil, c.closedError(call.tries, Unknown))
	}
	c.out.Free()
}
