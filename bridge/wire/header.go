package wire

import (
	"encoding/binary"
	"fmt"
)

// HeaderSize is the length of a header frame in bytes. It fits a ZeroMQ message that needs no allocation (33 bytes).
const HeaderSize = 32

// Version is the protocol version of this package.
const Version = 1

const magic = uint16('T')<<8 | 'R'

// Header is the first frame of every message (hit.md, section 2). It is a value: copying it is how it is forwarded.
type Header struct {
	Type   Type
	Flags  Flags
	Status Status
	Hit    uint64 // handle, or the client's reference where Flags has Ref
	Epoch  uint32
	Seq    uint32
	Part   uint32
	Arg    uint32
}

// Put writes the header into the first HeaderSize bytes of b, which must be that long.
func (h *Header) Put(b []byte) {
	_ = b[HeaderSize-1]
	binary.BigEndian.PutUint16(b[0:], magic)
	b[2] = Version
	b[3] = byte(h.Type)
	binary.BigEndian.PutUint16(b[4:], uint16(h.Flags))
	binary.BigEndian.PutUint16(b[6:], uint16(h.Status))
	binary.BigEndian.PutUint64(b[8:], h.Hit)
	binary.BigEndian.PutUint32(b[16:], h.Epoch)
	binary.BigEndian.PutUint32(b[20:], h.Seq)
	binary.BigEndian.PutUint32(b[24:], h.Part)
	binary.BigEndian.PutUint32(b[28:], h.Arg)
}

// Bytes returns the header as a new frame.
func (h Header) Bytes() []byte {
	b := make([]byte, HeaderSize)
	h.Put(b)
	return b
}

// Parse reads a header frame. Only length, magic and version are judged here; Check judges the rest. The error is a
// *BadMessage and names what is wrong.
func (h *Header) Parse(b []byte) error {
	if len(b) != HeaderSize {
		return badHeaderLen(len(b))
	}
	if binary.BigEndian.Uint16(b) != magic || b[2] != Version {
		return badVersion(b)
	}
	h.Type = Type(b[3])
	h.Flags = Flags(binary.BigEndian.Uint16(b[4:]))
	h.Status = Status(binary.BigEndian.Uint16(b[6:]))
	h.Hit = binary.BigEndian.Uint64(b[8:])
	h.Epoch = binary.BigEndian.Uint32(b[16:])
	h.Seq = binary.BigEndian.Uint32(b[20:])
	h.Part = binary.BigEndian.Uint32(b[24:])
	h.Arg = binary.BigEndian.Uint32(b[28:])
	return nil
}

// Check judges type, flags, part and the number of frames after the header. The error is a *BadMessage.
func (h *Header) Check(frames int) error {
	r := &rules[h.Type]
	if r.name == "" || h.Flags&^r.flags != 0 || frames < r.frames[0] || frames > r.frames[1] || (h.Part != 0) != (h.Type == Part) || h.odd(frames) {
		return h.complain(frames)
	}
	return nil
}

// odd reports flags and frames that contradict each other: a body without the flag first, a handle without a worker.
func (h *Header) odd(frames int) bool {
	switch h.Type {
	case Open, Begin:
		if h.Type == Begin && h.Flags.Has(Direct) {
			return frames != 3 || h.Flags != Direct // service, options, token
		}
		if h.Flags.Has(First) {
			return frames < 3
		}
		return frames > 2 || h.Flags.Has(Last) || h.Flags.Has(Idempotent)
	case Opened:
		return frames == 1 || frames == 4 || frames == 5
	case Call, Reply:
		return h.Flags.Has(More) && frames < 2
	}
	return false
}

// String shows the header for logs and failed tests.
func (h Header) String() string {
	return fmt.Sprintf("%v hit=%x flags=%04x status=%v epoch=%d seq=%d arg=%d", h.Type, h.Hit, uint16(h.Flags), h.Status, h.Epoch, h.Seq, h.Arg)
}
