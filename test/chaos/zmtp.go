package chaos

import (
	"encoding/binary"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// zmtp takes one direction of a ZMTP 3 connection without encryption apart (RFC 23), as far as it needs to see the first 32 bytes of each message: the header of
// HIT/1. It keeps nothing else.
type zmtp struct {
	greeting int // bytes of the greeting still to come
	head     []byte
	left     uint64 // bytes of the frame still to come
	flags    byte
	inside   bool // a frame has begun
	later    bool // the frame is not the first one of its message
	first    []byte
	message  func(h wire.Header)
}

const (
	zmtpGreeting = 64
	flagMore     = 1
	flagLong     = 2
	flagCommand  = 4
)

func newZMTP(message func(wire.Header)) *zmtp {
	return &zmtp{greeting: zmtpGreeting, message: message}
}

// take takes the next bytes.
func (z *zmtp) take(b []byte) {
	if n := min(z.greeting, len(b)); n > 0 {
		z.greeting -= n
		b = b[n:]
	}
	for len(b) > 0 {
		if !z.inside {
			b = z.begin(b)
			continue
		}
		n := min(z.left, uint64(len(b)))
		if room := wire.HeaderSize - len(z.first); !z.later && room > 0 {
			z.first = append(z.first, b[:min(n, uint64(room))]...)
		}
		z.left -= n
		b = b[n:]
		if z.left == 0 {
			z.end()
		}
	}
}

// begin takes the beginning of a frame: flags, and a length of one byte or eight.
func (z *zmtp) begin(b []byte) []byte {
	need := 2
	if len(z.head) > 0 && z.head[0]&flagLong != 0 || len(z.head) == 0 && b[0]&flagLong != 0 {
		need = 9
	}
	n := min(need-len(z.head), len(b))
	z.head = append(z.head, b[:n]...)
	if len(z.head) < need {
		return b[n:]
	}
	z.flags, z.inside = z.head[0], true
	if need == 2 {
		z.left = uint64(z.head[1])
	} else {
		z.left = binary.BigEndian.Uint64(z.head[1:])
	}
	z.head = z.head[:0]
	if z.left == 0 {
		z.end()
	}
	return b[n:]
}

// end takes the end of a frame.
func (z *zmtp) end() {
	z.inside = false
	if z.flags&flagCommand != 0 {
		z.first = z.first[:0]
		return
	}
	if !z.later && len(z.first) == wire.HeaderSize {
		var h wire.Header
		if h.Parse(z.first) == nil {
			z.message(h)
		}
	}
	z.first = z.first[:0]
	z.later = z.flags&flagMore != 0
}
