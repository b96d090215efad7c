package pair

import (
	"bytes"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// hearDialer takes what somebody says who has dialed.
func (e *End) hearDialer(in *zmqsock.In, i int) {
	e.in = in.Frames(i, e.in[:0])
	id, said := e.in[0], e.in[1:]
	if len(said) == 3 && string(said[0]) == wordHello {
		e.knock(id, said[1], said[2], in.Meta(i).FD)
		return
	}
	if e.peer == nil || !bytes.Equal(id, e.peer) {
		e.bad()
		e.tell(id, wordNo, []byte("you are not the other end: say HELLO first"))
		return
	}
	e.hear(said)
}

// knock takes the first that dials, and refuses others.
func (e *End) knock(id, token, window []byte, fd int) {
	room, ok := parseCount(window)
	switch {
	case !ok || len(token) == 0 || len(token) > maxToken:
		e.bad()
		e.tell(id, wordNo, []byte("HELLO has a token and a window of 1 to 1000000"))
	case e.peer == nil && !e.ended():
		e.peer, e.token, e.fd = bytes.Clone(id), string(token), fd
		e.tell(id, wordYes, strconv.AppendInt(nil, int64(e.cfg.Window), 10))
		e.join(room)
	case bytes.Equal(id, e.peer) && e.token == string(token):
		e.tell(id, wordYes, strconv.AppendInt(nil, int64(e.cfg.Window), 10))
	default:
		e.mu.Lock()
		e.stats.Refused++
		e.mu.Unlock()
		e.tell(id, wordNo, []byte("a pair has two ends, and this one has or had its other already"))
	}
}

// hearListener takes what the end says that was dialed.
func (e *End) hearListener(in *zmqsock.In, i int) {
	e.in = in.Frames(i, e.in[:0])
	switch word := string(e.in[0]); {
	case word == wordYes && len(e.in) == 2:
		if room, ok := parseCount(e.in[1]); ok {
			e.join(room)
			return
		}
		e.bad()
	case word == wordNo && len(e.in) == 2:
		kind := ErrTaken
		if e.joined() {
			kind = ErrGone
		}
		e.finish(kind, e.cfg.URL+" says: "+string(e.in[1]))
	default:
		e.hear(e.in)
	}
}

// hear takes what the other end says.
func (e *End) hear(said [][]byte) {
	e.heard++
	switch word := string(said[0]); {
	case word == wordSay && len(said) > 1 && len(said) <= maxFrames+1 && e.joined():
		e.mu.Lock()
		full := len(e.inbox)+e.read >= e.cfg.Window
		if !full {
			e.inbox = append(e.inbox, clone(said[1:]))
			e.broadcast()
		}
		e.mu.Unlock()
		if full {
			e.finish(ErrGone, "it has sent more than there is room for, and was given up")
		}
	case word == wordGot && len(said) == 2:
		if n, ok := parseCount(said[1]); ok {
			e.mu.Lock()
			e.credit = min(e.credit+n, maxWindow)
			e.broadcast()
			e.mu.Unlock()
			return
		}
		e.bad()
	case word == wordBye && len(said) == 1:
		e.finish(ErrGone, "it was closed")
	default:
		e.bad()
	}
}

// notice takes what happens to the connection of an end that has dialed.
func (e *End) notice(ev zmqsock.Event) {
	switch ev.Kind {
	case zmqsock.Established:
		if !e.joined() {
			e.hello()
		}
	case zmqsock.Disconnected:
		e.lost = e.joined()
	case zmqsock.Refused:
		e.cfg.Logger.Warn("the other end does not let this one in", "endpoint", e.cfg.URL, "reason", ev.Failure)
	}
}

func (e *End) hello() {
	e.tell(nil, wordHello, []byte(e.token), strconv.AppendInt(nil, int64(e.cfg.Window), 10))
}

// tell writes a message; id is nil where there is one peer only.
func (e *End) tell(id []byte, word string, frames ...[]byte) {
	e.out.Add(e.port.Sock, id, false)
	e.out.Append([]byte(word))
	for _, f := range frames {
		e.out.Append(f)
	}
}

// turn sends what was written and what is owed.
func (e *End) turn(time.Duration) (int, time.Duration) {
	if e.lost && e.heard == 0 { // all that had come before was read
		e.lost = false
		e.finish(ErrGone, "the connection to it is lost")
	}
	heard := e.heard
	e.heard = 0
	e.mu.Lock()
	var messages [][][]byte
	got := 0
	if e.paired {
		messages, e.outbox = e.outbox, nil
		if e.owesGot() {
			got, e.read = e.read, 0
		}
	}
	e.mu.Unlock()
	for _, m := range messages {
		e.tell(e.peer, wordSay, m...)
	}
	if got > 0 {
		e.tell(e.peer, wordGot, strconv.AppendInt(nil, int64(got), 10))
	}
	n := e.out.Len()
	e.out.Send() // to who has gone: that is told by the connection
	e.out.Reset()
	if e.lost {
		return n + heard + 1, 0
	}
	return n, -1
}

// owesGot reports whether the other end is to hear what was received: often enough that it need not wait.
func (e *End) owesGot() bool { return e.read > 0 && e.read*4 >= e.cfg.Window }

// owes reports whether the loop has something to send. It is called under the lock.
func (e *End) owes() bool { return e.paired && (len(e.outbox) > 0 || e.owesGot()) }

func (e *End) pending() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.owes()
}

// join makes two ends a pair.
func (e *End) join(room int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.paired {
		e.paired, e.credit = true, room
		e.broadcast()
	}
}

// finish says why nothing comes any more, once.
func (e *End) finish(kind error, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over == nil {
		e.over = &Error{Kind: kind, Text: text + ": for a new pair, Listen and Dial again"}
		e.broadcast()
	}
}

// broadcast wakes all who wait. It is called under the lock.
func (e *End) broadcast() {
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *End) joined() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.paired
}

func (e *End) ended() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.over != nil
}

func (e *End) bad() {
	e.mu.Lock()
	e.stats.Bad++
	e.mu.Unlock()
}

func (e *End) end() {
	if e.port != nil && e.joined() && !e.ended() {
		e.tell(e.peer, wordBye)
		e.out.Send()
	}
	e.finish(ErrClosed, "this end was closed")
	e.out.Free()
}
