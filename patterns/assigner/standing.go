package assigner

import (
	"errors"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner/machine"
)

// ErrSameBroker is the cause of BrokerState.Err where two endpoints of a client lead to the same broker: one of the two is used.
var ErrSameBroker = errors.New("the same broker twice")

// BrokerState is how one of the brokers of a client or a worker stands.
type BrokerState struct {
	URL        string // its endpoint
	Registered bool   // the connection stands, and the broker knows us
	Silent     bool   // of a client with several brokers: it has left an open without an answer, and has said nothing since
	// Err is why the broker is not used any more: it has refused us for ever, or is another one of the list (ErrSameBroker; towards workers a broker says
	// ErrNameTaken, and in the text that it is the same). nil: it is used whenever it is there.
	Err error
}

// Brokers returns how the client's brokers stand, in the order in which they were named. It is safe for use by many goroutines.
func (c *Client) Brokers() []BrokerState {
	all := make([]BrokerState, len(c.ups))
	for i, u := range c.ups {
		u.mu.Lock()
		up := u.isUp
		u.mu.Unlock()
		all[i] = BrokerState{URL: u.cfg.Broker, Registered: up, Err: u.link.refusal()}
		if c.fleet != nil {
			all[i].Silent = c.fleet.silent(i)
		}
	}
	return all
}

// Brokers returns how the worker's brokers stand, in the order in which they were named. It is called after Start, and safe for use by many goroutines.
func (w *Worker) Brokers() []BrokerState {
	all := make([]BrokerState, len(w.brokers))
	w.mu.Lock()
	defer w.mu.Unlock() // a worker may move
	for i, e := range w.brokers {
		all[i] = BrokerState{URL: e.broker, Registered: e.registered.Load(), Err: e.link.refusal()}
	}
	return all
}

// refusal is why the broker refuses us for ever, nil if it does not.
func (l *link) refusal() error {
	select {
	case <-l.failed:
		return l.err
	default:
		return nil
	}
}

// silent reports whether a broker has left an open without an answer, and has said nothing since.
func (f *fleet) silent(i int) (is bool) {
	f.do(func(time.Duration) []machine.Do {
		_, is = f.machine.State(i)
		return nil
	})
	return is
}
