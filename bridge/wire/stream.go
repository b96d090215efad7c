package wire

import "encoding/binary"

// Unsized is the announced size of a body whose end its sender does not know yet.
const Unsized = ^uint64(0)

// SizeFrame returns the frame that announces how many bytes follow in PARTs.
func SizeFrame(size uint64) []byte { return binary.BigEndian.AppendUint64(nil, size) }

// ParseSize reads the announced size of a message with the flag more. The error is a *BadMessage.
func ParseSize(t Type, frame []byte) (uint64, error) {
	if len(frame) != 8 {
		return 0, bad(BadFrame, "%v with the flag more: its first frame has %d bytes, the announced size has 8: put it before the head", t, len(frame))
	}
	return binary.BigEndian.Uint64(frame), nil
}

// Stream is the account of a body in parts, kept by whoever passes it on or receives it (hit.md, section 15). The zero value has no credit. It
// is not safe for concurrent use.
type Stream struct {
	Seq   uint32 // of the call
	Size  uint64 // announced, bytes; Unsized where it is not known
	Sent  uint64 // bytes of the parts taken so far
	Limit uint64 // bytes that may be sent in all
	part  uint32 // number of the last part taken
}

// Part returns the number of the last part taken, 0 before the first.
func (s *Stream) Part() uint32 { return s.part }

// Take accounts for the next part, with n bytes of body. It returns nil, or what is wrong with the part; it is then not counted.
func (s *Stream) Take(h *Header, n int) *BadMessage {
	sent := s.Sent + uint64(n)
	switch {
	case h.Part != s.part+1:
		return bad(BadPart, "part %d of call %d follows part %d: number parts one by one", h.Part, h.Seq, s.part)
	case sent > s.Size:
		return bad(BadPart, "part %d of call %d brings its body to %d bytes, %d were announced: send no more than that", h.Part, h.Seq, sent, s.Size)
	case sent > s.Limit:
		return bad(OverCredit, "part %d of call %d brings its body to %d bytes, the receiver has allowed %d: wait for CREDIT", h.Part, h.Seq, sent, s.Limit)
	case !h.Flags.Has(More) && sent < s.Size && s.Size != Unsized:
		return bad(BadPart, "the body of call %d ends after %d bytes, %d were announced: send CANCEL where the rest is lost", h.Seq, sent, s.Size)
	}
	s.Sent, s.part = sent, h.Part
	return nil
}

// Credit takes the arg of a CREDIT and reports whether it moved the limit, or lay behind it.
func (s *Stream) Credit(arg uint32) (moved, back bool) {
	limit := CreditLimit(s.Limit, arg)
	if limit == s.Limit {
		return false, arg != uint32(s.Limit>>10)
	}
	s.Limit = limit
	return true, false
}
