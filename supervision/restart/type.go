// Package restart decides, without any clock or actor, whether a child of a
// supervisor is started again, when, and when a supervisor has to give up.
// Time and randomness are arguments. The words are those of Erlang/OTP's
// supervisor: https://www.erlang.org/doc/apps/stdlib/supervisor.html
package restart

import "fmt"

// Type says when a child that ended is started again.
// The zero value is Permanent, as in OTP.
type Type uint8

const (
	// Permanent children are always started again.
	Permanent Type = iota
	// Transient children are started again only after an abnormal end.
	Transient
	// Temporary children are never started again.
	Temporary
)

var typeNames = [...]string{"permanent", "transient", "temporary"}

// String returns OTP's word for the type.
func (t Type) String() string {
	if !t.Valid() {
		return fmt.Sprintf("restart.Type(%d)", uint8(t))
	}
	return typeNames[t]
}

// Valid reports whether t is one of the three types.
func (t Type) Valid() bool { return int(t) < len(typeNames) }

// Class is what matters about the reason of an end.
type Class uint8

const (
	// Normal means that the child ended as it wished, or was told to end.
	Normal Class = iota
	// Abnormal means everything else: a panic, an error, an abandoned child.
	Abnormal
)

// String returns "normal" or "abnormal".
func (c Class) String() string {
	if c == Normal {
		return "normal"
	}
	return "abnormal"
}

// Decide reports whether a child of type t whose end was of class c is
// started again.
func Decide(t Type, c Class) bool {
	switch t {
	case Permanent:
		return true
	case Transient:
		return c == Abnormal
	default:
		return false
	}
}
