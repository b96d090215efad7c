package chaos

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// forger is a client without a library, which resumes a hit and then calls under the epoch of before, as a message would that was delayed on its way. The call must be
// refused, and must not run.
type forger struct {
	ctx  *zmqsock.Context
	sock *zmqsock.Socket
	wake *zmqsock.Wake
	poll *zmqsock.Poller
	in   *zmqsock.In
	out  *zmqsock.Out
}

func newForger(endpoint string) (f *forger, err error) {
	f = &forger{out: zmqsock.NewOut()}
	if f.ctx, err = zmqsock.NewContext(); err != nil {
		return nil, err
	}
	if f.sock, err = f.ctx.Open(zmqsock.Config{Kind: zmqsock.Dealer}); err != nil {
		return nil, err
	}
	if f.wake, err = zmqsock.NewWake(); err != nil {
		return nil, err
	}
	if f.in, err = zmqsock.NewIn(1); err != nil {
		return nil, err
	}
	f.poll = zmqsock.NewPoller(f.wake)
	if err := f.poll.Set([]*zmqsock.Socket{f.sock}); err != nil {
		return nil, err
	}
	return f, f.sock.Connect(endpoint)
}

func (f *forger) close() {
	_ = f.sock.Close()
	f.in.Free()
	f.out.Free()
	_ = f.wake.Close()
	_ = f.ctx.Term()
}

func (f *forger) say(h wire.Header, frames ...[]byte) {
	f.out.Add(f.sock, nil, false)
	f.out.Append(h.Bytes())
	for _, b := range frames {
		f.out.Append(b)
	}
	f.out.Send() // what is not sent is not answered, and the attempt is given up
	f.out.Reset()
}

// hear returns the next message that is no PING, or false when there is none for long.
func (f *forger) hear() (h wire.Header, frames [][]byte, ok bool) {
	for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); {
		f.in.Clear(false)
		n, err := f.in.Recv(f.sock, 1, 0)
		if err != nil || n == 0 && f.poll.Wait(50*time.Millisecond) != nil {
			return h, nil, false
		}
		if n == 0 {
			continue
		}
		got := f.in.Frames(0, nil)
		if h.Parse(got[0]) != nil {
			return h, nil, false
		}
		if h.Type == wire.Ping {
			continue
		}
		for _, b := range got[1:] {
			frames = append(frames, append([]byte(nil), b...))
		}
		return h, frames, true
	}
	return h, nil, false
}

// forgedCall is the number of a call that must never run.
const forgedCall = 99

// attempt tries it once. It reports what came in answer to the forged call, and whether it came so far.
func (f *forger) attempt(key string) (answer wire.Header, done bool) {
	f.say(wire.Header{Type: wire.Hello}, []byte(`{"name":"forger"}`))
	if h, _, ok := f.hear(); !ok || h.Type != wire.Welcome {
		return h, false
	}
	f.say(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: 1}, []byte(ServiceName), fmt.Appendf(nil, `{"resume_ms":5000,"label":%q,"session":{"key":%q}}`, key, key))
	h, frames, ok := f.hear()
	if !ok || h.Type != wire.Opened || len(frames) < 3 {
		return h, false
	}
	hit, epoch := binary.BigEndian.Uint64(frames[0]), h.Epoch
	f.say(wire.Header{Type: wire.Call, Hit: hit, Epoch: epoch, Seq: 1}, []byte("1 0"))
	if h, _, ok := f.hear(); !ok || h.Type != wire.Reply {
		return h, false
	}
	f.say(wire.Header{Type: wire.Detach, Hit: hit, Epoch: epoch})
	f.say(wire.Header{Type: wire.Resume, Hit: hit, Seq: 1, Arg: 1}, frames[2])
	resumed, _, ok := f.hear()
	if !ok || resumed.Type != wire.Resumed {
		return resumed, false
	}
	f.say(wire.Header{Type: wire.Call, Hit: hit, Epoch: epoch, Seq: 2}, fmt.Appendf(nil, "%d 0", forgedCall))
	if answer, _, ok = f.hear(); !ok {
		return answer, false
	}
	f.say(wire.Header{Type: wire.Close, Hit: hit, Epoch: resumed.Epoch})
	f.hear()
	return answer, true
}

// forgerLane forges calls at one broker after the other.
func (w *world) forgerLane(ctx context.Context) {
	for i := 1; ctx.Err() == nil; i++ {
		b := w.brokers[i%len(w.brokers)]
		f, err := newForger(b.clients)
		w.try(err)
		if err != nil {
			return
		}
		answer, done := f.attempt(fmt.Sprintf("forger-%d", i))
		f.close()
		if done && answer.Status == wire.WorkerGone {
			done = false // it was lost meanwhile
		}
		if done {
			w.mu.Lock()
			w.forged++
			w.mu.Unlock()
		}
		if done && answer.Status != wire.StaleEpoch {
			w.blame("stale", "a call under an epoch that is over was answered by %v", answer)
		}
		w.rest(ctx, 100*time.Millisecond)
	}
}

// auditForger looks whether a forged call has run.
func auditForger(sessions map[string]*Session, v *Violations) {
	for key, s := range sessions {
		for _, r := range s.Runs {
			if r.No == forgedCall && hasPrefix(key, []string{"forger-"}) {
				v.Add("stale", "hit %s: a call under an epoch that is over has run", key)
			}
		}
	}
}
