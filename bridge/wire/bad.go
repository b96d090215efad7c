package wire

import "fmt"

// BadMessage says why a message is not HIT/1. Its text names the field and the remedy, and goes into an ERROR as it is.
type BadMessage struct {
	Status Status // BadFrame, BadVersion, BadType or BadFlag
	Text   string
}

// Error returns the text.
func (e *BadMessage) Error() string { return e.Text }

func bad(s Status, format string, args ...any) *BadMessage {
	return &BadMessage{Status: s, Text: fmt.Sprintf(format, args...)}
}

func badHeaderLen(n int) error {
	return bad(BadFrame, "the header frame has %d bytes, HIT/1 wants %d: send the header as a frame of its own", n, HeaderSize)
}

func badVersion(b []byte) error {
	if b[0] != 'T' || b[1] != 'R' {
		return bad(BadVersion, "the header starts with %q, not with the magic \"TR\": this endpoint speaks HIT/1 only", b[:2])
	}
	return bad(BadVersion, "protocol version %d is unknown, this side speaks version %d: use a matching client", b[2], Version)
}

func (h *Header) complain(frames int) error {
	r := &rules[h.Type]
	switch {
	case r.name == "":
		return bad(BadType, "message type %d is unknown to HIT/1: see the list of types in docs/protocol/hit.md", uint8(h.Type))
	case h.Flags&^r.flags != 0:
		return bad(BadFlag, "%s with flags 0x%04x: bits 0x%04x are not allowed on it and must be zero", r.name, uint16(h.Flags), uint16(h.Flags&^r.flags))
	case h.Type == Part && h.Part == 0:
		return bad(BadFrame, "PART with part 0: parts are numbered from 1")
	case h.Type != Part && h.Part != 0:
		return bad(BadFrame, "%s with part %d: the field is for PART, it must be zero", r.name, h.Part)
	case frames < r.frames[0]:
		return bad(BadFrame, "%s with %d frames after the header: at least %d are needed", r.name, frames, r.frames[0])
	case frames > r.frames[1]:
		return bad(BadFrame, "%s with %d frames after the header: at most %d are allowed", r.name, frames, r.frames[1])
	case h.Type == Opened:
		return bad(BadFrame, "OPENED with %d frames after the header: a client gets handle and worker, and what it has asked for; a worker sends none", frames)
	case h.Flags.Has(More):
		return bad(BadFrame, "%s with the flag more but without a body: send the announced size, then at least one body frame", r.name)
	case h.Type == Begin && h.Flags.Has(Direct):
		return bad(BadFrame, "BEGIN with the flag direct has %d frames and flags 0x%04x: send service, options and token, without a call", frames, uint16(h.Flags))
	case h.Flags.Has(First):
		return bad(BadFrame, "%s with the flag first but no body: send service, options and at least one body frame", r.name)
	case h.Flags.Has(Idempotent):
		return bad(BadFlag, "%s with the flag idempotent but without first: only a call can be idempotent", r.name)
	case h.Flags.Has(Last):
		return bad(BadFlag, "%s with the flag last but without first: only a call can be the last one", r.name)
	}
	return bad(BadFrame, "%s with a body but without the flag first: set the flag or leave the body out", r.name)
}
