package rig

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Raw is a peer that says whatever a test wants, and does nothing by itself: it sends no CREDIT and answers no PING. It belongs to the test's
// goroutine.
type Raw struct {
	t    testing.TB
	ctx  *zmqsock.Context
	sock *zmqsock.Socket
	wake *zmqsock.Wake
	poll *zmqsock.Poller
	in   *zmqsock.In
	out  *zmqsock.Out
	shut bool
}

// Said is a message that came to a Raw.
type Said struct {
	wire.Header
	Frames [][]byte
}

// Text returns the first frame as text.
func (s *Said) Text() string {
	if len(s.Frames) == 0 {
		return ""
	}
	return string(s.Frames[0])
}

// Handle returns the handle that an OPENED brings.
func (s *Said) Handle() uint64 { return binary.BigEndian.Uint64(s.Frames[0]) }

// NewRaw connects a raw DEALER to a tcp or ipc endpoint.
func NewRaw(t testing.TB, endpoint string, change ...func(*zmqsock.Config)) *Raw {
	t.Helper()
	cfg := zmqsock.Config{Kind: zmqsock.Dealer}
	for _, f := range change {
		f(&cfg)
	}
	r := &Raw{t: t}
	var err error
	r.ctx, err = zmqsock.NewContext()
	require.NoError(t, err)
	r.sock, err = r.ctx.Open(cfg)
	require.NoError(t, err)
	r.wake, err = zmqsock.NewWake()
	require.NoError(t, err)
	r.poll = zmqsock.NewPoller(r.wake)
	require.NoError(t, r.poll.Set([]*zmqsock.Socket{r.sock}))
	r.in, err = zmqsock.NewIn(1)
	require.NoError(t, err)
	r.out = zmqsock.NewOut()
	require.NoError(t, r.sock.Connect(endpoint))
	t.Cleanup(r.Close)
	return r
}

// Close ends the peer without a word.
func (r *Raw) Close() {
	if r.shut {
		return
	}
	r.shut = true
	_ = r.sock.Close()
	r.in.Free()
	r.out.Free()
	_ = r.wake.Close()
	_ = r.ctx.Term()
}

// Frames sends a message of any frames.
func (r *Raw) Frames(frames ...[]byte) {
	r.t.Helper()
	r.out.Add(r.sock, nil, false)
	for _, f := range frames {
		r.out.Append(f)
	}
	require.Zero(r.t, r.out.Send(), "libzmq took the message")
	r.out.Reset()
}

// Say sends a message with a proper header.
func (r *Raw) Say(h wire.Header, frames ...[]byte) {
	r.t.Helper()
	r.Frames(append([][]byte{h.Bytes()}, frames...)...)
}

// Hear returns the next message. PINGs are skipped, as are messages of types that are not asked for, if any are.
func (r *Raw) Hear(types ...wire.Type) *Said {
	r.t.Helper()
	limit := time.Now().Add(Patience)
	for time.Now().Before(limit) {
		s := r.take()
		if s == nil {
			require.NoError(r.t, r.poll.Wait(100*time.Millisecond))
			continue
		}
		if s.Type == wire.Ping && len(types) == 0 {
			continue
		}
		if len(types) == 0 {
			return s
		}
		for _, want := range types {
			if s.Type == want {
				return s
			}
		}
	}
	require.FailNow(r.t, "waited in vain", "for a message of the types %v", types)
	return nil
}

// take returns a message that is there already, nil if there is none.
func (r *Raw) take() *Said {
	r.t.Helper()
	r.in.Clear(false)
	n, err := r.in.Recv(r.sock, 1, 0)
	require.NoError(r.t, err)
	if n == 0 {
		return nil
	}
	frames := r.in.Frames(0, nil)
	s := &Said{}
	require.NoError(r.t, s.Parse(frames[0]), "whatever we say, the broker speaks HIT/1")
	for _, f := range frames[1:] {
		s.Frames = append(s.Frames, append([]byte(nil), f...))
	}
	require.NoError(r.t, s.Check(len(s.Frames)), "whatever we say, the broker speaks HIT/1")
	return s
}

// Settle returns when the broker has taken all that was said before, and returns what it has said meanwhile.
func (r *Raw) Settle() []*Said {
	r.t.Helper()
	mark := uint32(time.Now().UnixNano())
	r.Say(wire.Header{Type: wire.Ping, Arg: mark})
	var said []*Said
	for {
		s := r.Hear()
		if s.Type == wire.Pong && s.Arg == mark {
			return said
		}
		said = append(said, s)
	}
}

// Hello registers the peer as a client.
func (r *Raw) Hello() *Raw {
	r.t.Helper()
	r.Say(wire.Header{Type: wire.Hello}, []byte(`{"name":"raw"}`))
	r.Hear(wire.Welcome)
	return r
}

// Ready registers the peer as a worker.
func (r *Raw) Ready(name string, slots int, services ...string) *Raw {
	r.t.Helper()
	r.Say(wire.Header{Type: wire.Ready}, wire.JSON(wire.ReadyInfo{Name: name, Slots: slots, Services: services}))
	r.Hear(wire.Welcome)
	return r
}

// Open opens a hit under a reference and returns its handle and epoch.
func (r *Raw) Open(ref uint64, service string) (handle uint64, epoch uint32) {
	r.t.Helper()
	r.Say(wire.Header{Type: wire.Open, Flags: wire.Ref, Hit: ref}, []byte(service), nil)
	s := r.Hear(wire.Opened)
	require.Equal(r.t, ref, s.Hit)
	return s.Handle(), s.Epoch
}
