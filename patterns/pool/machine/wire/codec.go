package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrBad is the error of everything that is not POOL/1.
var ErrBad = errors.New("not POOL/1")

// HeaderLen is the length of the header frame in bytes.
const HeaderLen = 80

const version = 1

// AppendHeader appends the header frame: see docs/protocol/pool.md. All numbers are little endian.
func (m *Message) AppendHeader(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, 'T', 'P', version, byte(m.Type))
	b = le.AppendUint32(b, m.Flags)
	for _, v := range [...]uint64{m.Term, uint64(m.From), uint64(m.Host), uint64(m.Asker), uint64(m.AskerHost), uint64(m.Origin), m.Seq, m.Version} {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint32(b, m.Part)
	return le.AppendUint32(b, 0)
}

// Frames returns the message's frames: header, note, body. The body is not copied.
func (m *Message) Frames() ([][]byte, error) {
	var note []byte
	if m.Note != nil {
		var err error
		if note, err = json.Marshal(m.Note); err != nil {
			return nil, fmt.Errorf("pool: a %v that cannot be written: %w", m.Type, err)
		}
	}
	return [][]byte{m.AppendHeader(make([]byte, 0, HeaderLen)), note, m.Body}, nil
}

// Parse reads a message. Its body is a slice of the last frame.
func Parse(frames [][]byte) (Message, error) {
	var m Message
	if len(frames) != 3 || len(frames[0]) != HeaderLen {
		return m, fmt.Errorf("%w: a message has three frames, the first of %d bytes: is the peer of another version?", ErrBad, HeaderLen)
	}
	h := frames[0]
	if h[0] != 'T' || h[1] != 'P' || h[2] != version {
		return m, fmt.Errorf("%w: the header begins with % x: is the peer of another version?", ErrBad, h[:4])
	}
	le := binary.LittleEndian
	at := func(i int) uint64 { return le.Uint64(h[8+8*i:]) }
	m = Message{
		Type: Type(h[3]), Flags: le.Uint32(h[4:]), Term: at(0), From: MemberID(at(1)), Host: HostID(at(2)), Asker: MemberID(at(3)), AskerHost: HostID(at(4)),
		Origin: HostID(at(5)), Seq: at(6), Version: at(7), Part: le.Uint32(h[72:]), Body: frames[2],
	}
	if m.Type == 0 || m.Type >= types {
		return m, fmt.Errorf("%w: there is no message of type %d", ErrBad, h[3])
	}
	if len(frames[1]) > 0 {
		m.Note = &Note{}
		if err := json.Unmarshal(frames[1], m.Note); err != nil {
			return m, fmt.Errorf("%w: the note of a %v: %w", ErrBad, m.Type, err)
		}
	}
	return m, m.check()
}

// check makes sure that what a type needs is there, so that nobody has to look again.
func (m *Message) check() error {
	n := m.Note
	if n == nil {
		n = &Note{}
	}
	missing := map[Type]bool{
		Hello: n.Record == nil && n.Section == nil && m.Flags&Guest == 0, ViewIs: n.View == nil, RosterIs: n.Roster == nil, Done: len(n.Done) == 0,
		PollIs: n.Poll == nil, BallotIs: n.Ballot == nil, Report: n.Report == nil,
	}
	if missing[m.Type] {
		return fmt.Errorf("%w: a %v without what it has to say", ErrBad, m.Type)
	}
	return nil
}
