//go:build cgo

package zmqsock

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"unsafe"

	zmq "github.com/pebbe/zmq4"
)

// Comfort is the length in bytes up to which a frame is copied into the batch's arena; longer ones stay in the message
// libzmq made, uncopied.
const Comfort = 128

// In is a batch of received messages and the arena their frames live in. Its bytes are valid until Clear.
type In struct {
	b      *C.tr_in
	frames []C.tr_frame
	msgs   []C.tr_msg
	slow   [][]byte // frames of the per-frame path, in order of frames
	users  []string // of the per-frame path; see C.tr_msg.user
}

// NewIn returns a batch for up to msgs messages; it must be freed.
func NewIn(msgs int) (*In, error) {
	if msgs < 1 {
		return nil, fmt.Errorf("zmqsock: a batch of %d messages can hold none: at least 1 is needed", msgs)
	}
	b := C.tr_in_new(C.uint32_t(msgs), C.size_t(msgs*192))
	if b == nil {
		return nil, errors.New("zmqsock: no memory for a batch")
	}
	return &In{b: b, frames: unsafe.Slice(b.frames, int(b.frames_cap)), msgs: unsafe.Slice(b.msgs, int(b.msgs_cap))}, nil
}

// Free gives the memory back. The batch must not be used any more.
func (in *In) Free() {
	if in.b != nil {
		C.tr_in_free(in.b)
		in.b, in.frames, in.msgs, in.slow = nil, nil, nil, nil
	}
}

// Clear empties the batch for reuse; with poison the arena is overwritten, so that a use after release shows.
func (in *In) Clear(poison bool) {
	if in.b.nmsgs == 0 && in.b.nwholes == 0 {
		return
	}
	p := C.int(0)
	if poison {
		p = 1
		for _, f := range in.slow {
			for i := range f {
				f[i] = 0xDB
			}
		}
	}
	clear(in.slow)
	in.slow, in.users = in.slow[:0], in.users[:0]
	C.tr_in_clear(in.b, p)
}

// Len returns how many messages the batch holds.
func (in *In) Len() int { return int(in.b.nmsgs) }

// Full reports whether a further message might not fit.
func (in *In) Full() bool {
	return in.b.nmsgs >= in.b.msgs_cap || in.b.frames_cap-in.b.nframes < C.TR_MAX_FRAMES || in.b.wholes_cap-in.b.nwholes < C.TR_MAX_FRAMES
}

// Meta is what is known of a received message besides its frames.
type Meta struct {
	Frames  int // frames kept, the routing id included
	Dropped int // frames beyond the limit of 64, thrown away
	FD      int // descriptor of its connection, -1 unless its type was among Recv's fdTypes
	Size    int // bytes of all frames
	// User is the public key, in Z85, that the connection has proved to have; where FD is asked for. Empty: its socket has no Curve.
	User string
}

// Meta returns the meta data of message i.
func (in *In) Meta(i int) Meta {
	m := &in.msgs[i]
	meta := Meta{Frames: int(m.count), Dropped: int(m.dropped), FD: int(m.fd), Size: int(m.size)}
	if m.user > 0 {
		meta.User = in.user(int(m.user) - 1)
	}
	return meta
}

// user returns the i-th of the batch's user ids.
func (in *In) user(i int) string {
	if in.users != nil {
		return in.users[i]
	}
	return C.GoString(&unsafe.Slice(in.b.users, int(in.b.nusers))[i][0])
}

// Frames appends the frames of message i to into. The bytes are the batch's.
func (in *In) Frames(i int, into [][]byte) [][]byte {
	m := &in.msgs[i]
	if len(in.slow) > 0 {
		return append(into, in.slow[m.first:m.first+m.count]...)
	}
	for _, f := range in.frames[m.first : m.first+m.count] {
		into = append(into, frameBytes(f))
	}
	return into
}

// ErrClosed is returned by Recv when the socket or its context is closed.
var ErrClosed = errors.New("zmqsock: socket closed")

// AllTypes asks Recv for the descriptor of every message, whatever it says.
const AllTypes = ^uint64(0)

// Recv adds up to max waiting messages of s to the batch, without waiting, and returns how many. Bit t of fdTypes asks for
// the descriptor of messages whose HIT/1 header has type t; the per-frame path knows it of a ROUTER's messages only. An error is
// ErrClosed. A message of which the end is lost with the context is not delivered.
func (in *In) Recv(s *Socket, max int, fdTypes uint64) (int, error) {
	if s.h == nil {
		return in.recvSlow(s, max, fdTypes)
	}
	n, err := C.tr_recv(in.b, s.h, C.uint32_t(max), Comfort, C.int(s.router), C.uint64_t(fdTypes))
	if n < 0 {
		return 0, fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return int(n), nil
}

// recvSlow is Recv over the binding's per-frame calls.
func (in *In) recvSlow(s *Socket, max int, fdTypes uint64) (int, error) {
	for n := range max {
		if in.Full() {
			return n, nil
		}
		first, err := s.s.RecvBytes(zmq.DONTWAIT)
		switch {
		case err == nil:
		case zmq.AsErrno(err) == zmq.Errno(syscall.EAGAIN):
			return n, nil
		case n > 0: // the next call will see it again
			return n, nil
		default:
			return 0, fmt.Errorf("%w: %w", ErrClosed, err)
		}
		if !in.takeSlow(s, first, fdTypes) {
			return n, nil
		}
	}
	return max, nil
}

// takeSlow takes the message that begins with a frame. It reports false where the context ends under the message: half a message is none.
func (in *In) takeSlow(s *Socket, frame []byte, fdTypes uint64) bool {
	start := len(in.slow)
	m := &in.msgs[in.b.nmsgs]
	*m = C.tr_msg{first: C.uint32_t(start), fd: -1}
	for i := 0; ; i++ {
		in.keepSlow(m, frame)
		more, err := s.s.GetRcvmore()
		if err == nil && !more {
			break
		}
		var meta map[string]string
		if err == nil {
			frame, meta, err = s.s.RecvBytesWithMetadata(0, "__fd", userID)
		}
		if err != nil {
			clear(in.slow[start:])
			in.slow = in.slow[:start]
			return false
		}
		if i+1 == s.router && asked(frame, fdTypes) {
			m.fd = C.int32_t(descriptor(meta))
			if u := meta[userID]; u != "" {
				in.users = append(in.users, u)
				m.user = C.uint32_t(len(in.users))
			}
		}
	}
	in.b.nmsgs++
	in.b.nframes = C.uint32_t(len(in.slow))
	return true
}

// asked reports whether fdTypes asks for the descriptor of messages with this header.
func asked(header []byte, fdTypes uint64) bool {
	return fdTypes == AllTypes || len(header) == 32 && header[3] < 64 && fdTypes>>header[3]&1 == 1
}

// descriptor is ZMQ_SRCFD, which the binding offers as meta data only.
func descriptor(meta map[string]string) int {
	if fd, err := strconv.Atoi(meta["__fd"]); err == nil {
		return fd
	}
	return -1
}

// userID is the name under which libzmq hands on what a guard has said of a connection.
const userID = "User-Id"

func (in *In) keepSlow(m *C.tr_msg, frame []byte) {
	m.size += C.size_t(len(frame))
	if m.count == C.TR_MAX_FRAMES {
		m.dropped++
		return
	}
	in.slow = append(in.slow, frame)
	m.count++
}
