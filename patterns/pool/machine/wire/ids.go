package wire

import (
	"fmt"
	"strconv"
)

// MemberID names one life of a member. It is drawn at random when the member joins and never used again; a process that is started again is another member.
type MemberID uint64

// HostID names one life of a host, as far as a pool is concerned: a run directory between two boots of the machine.
type HostID uint64

// String returns 16 hex digits.
func (m MemberID) String() string { return fmt.Sprintf("%016x", uint64(m)) }

// String returns 16 hex digits.
func (h HostID) String() string { return fmt.Sprintf("%016x", uint64(h)) }

// MarshalText is the form in JSON: numbers of 64 bits do not survive everywhere.
func (m MemberID) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// MarshalText is the form in JSON.
func (h HostID) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (m *MemberID) UnmarshalText(text []byte) error {
	n, err := parse(text)
	*m = MemberID(n)
	return err
}

// UnmarshalText reads what MarshalText writes.
func (h *HostID) UnmarshalText(text []byte) error {
	n, err := parse(text)
	*h = HostID(n)
	return err
}

func parse(text []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil || len(text) != 16 {
		return 0, fmt.Errorf("%w: the id %.40q is not 16 hex digits", ErrBad, text)
	}
	return n, nil
}

// QuestionID names a question: who asks, and its how manieth it is.
type QuestionID struct {
	Asker MemberID
	Seq   uint64
}

// String returns the id as logs show it.
func (q QuestionID) String() string { return fmt.Sprintf("%s/%d", q.Asker, q.Seq) }

// Stamp orders the states of one host's section: first by the term of the master that wrote it, then by its version.
type Stamp struct {
	Term    uint64 `json:"term"`
	Version uint64 `json:"version"`
}

// Before reports whether s is an earlier state than t.
func (s Stamp) Before(t Stamp) bool {
	return s.Term < t.Term || s.Term == t.Term && s.Version < t.Version
}
