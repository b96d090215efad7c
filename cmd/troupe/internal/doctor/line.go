package doctor

import (
	"errors"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// line is a ZeroMQ connection of the doctor's own.
type line struct {
	ctx  *zmqsock.Context
	sock *zmqsock.Socket
	wake *zmqsock.Wake
	poll *zmqsock.Poller
	in   *zmqsock.In
	out  *zmqsock.Out
}

func newLine(endpoint string, curve *zmqsock.Curve) (*line, error) {
	l := &line{out: zmqsock.NewOut()}
	err := func() (err error) {
		if l.ctx, err = zmqsock.NewContext(); err != nil {
			return err
		}
		if l.sock, err = l.ctx.Open(zmqsock.Config{Kind: zmqsock.Dealer, Curve: curve}); err != nil {
			return err
		}
		if err = l.ctx.Monitor(l.sock); err != nil {
			return err
		}
		if l.wake, err = zmqsock.NewWake(); err != nil {
			return err
		}
		l.poll = zmqsock.NewPoller(l.wake)
		if err = l.poll.Set([]*zmqsock.Socket{l.sock}); err != nil {
			return err
		}
		if l.in, err = zmqsock.NewIn(1); err != nil {
			return err
		}
		return l.sock.Connect(endpoint)
	}()
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *line) close() {
	if l.sock != nil {
		_ = l.sock.Close()
	}
	if l.in != nil {
		l.in.Free()
	}
	l.out.Free()
	if l.wake != nil {
		_ = l.wake.Close()
	}
	if l.ctx != nil {
		_ = l.ctx.Term()
	}
}

var errLate = errors.New("nothing came in time")

// shakeHands waits for the end of the handshake: nil failure where it is done.
func (l *line) shakeHands(limit time.Duration) (zmqsock.Failure, error) {
	for until := time.Now().Add(limit); ; {
		for _, e := range l.sock.Events(nil) {
			switch e.Kind {
			case zmqsock.Established:
				return 0, nil
			case zmqsock.Refused:
				return e.Failure, nil
			default: // it goes on
			}
		}
		left := time.Until(until)
		if left <= 0 {
			return 0, errLate
		}
		if err := l.poll.Wait(left); err != nil {
			return 0, err
		}
	}
}

// answer is what a broker said.
type answer struct {
	wire.Header
	body []byte
}

// ask says a message and returns the next one that is no PING.
func (l *line) ask(limit time.Duration, t wire.Type, body []byte) (answer, error) {
	h := wire.Header{Type: t}
	i := l.out.Add(l.sock, nil, true)
	h.Put(l.out.Header(i))
	l.out.Append(body)
	refused := l.out.Send()
	l.out.Reset()
	if refused > 0 {
		return answer{}, errors.New("the connection takes no message")
	}
	for until := time.Now().Add(limit); ; {
		l.in.Clear(false)
		n, err := l.in.Recv(l.sock, 1, 0)
		if err != nil {
			return answer{}, err
		}
		if n > 0 {
			a, err := read(l.in.Frames(0, nil))
			if err != nil || a.Type != wire.Ping {
				return a, err
			}
			continue
		}
		left := time.Until(until)
		if left <= 0 {
			return answer{}, errLate
		}
		if err := l.poll.Wait(min(left, 100*time.Millisecond)); err != nil {
			return answer{}, err
		}
	}
}

func read(frames [][]byte) (answer, error) {
	var a answer
	if len(frames) == 0 {
		return a, errors.New("an empty message")
	}
	if err := a.Parse(frames[0]); err != nil {
		return a, err
	}
	if len(frames) > 1 {
		a.body = append([]byte(nil), frames[1]...)
	}
	return a, nil
}
