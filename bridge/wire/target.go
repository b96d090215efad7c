package wire

import "strconv"

// Target says which of a service's workers may have a hit (hit.md, section 18). Exactly one of Worker, Member, Where and Key is set.
type Target struct {
	Worker string `json:"worker,omitempty"` // the worker of this name, whichever registration of it
	Member string `json:"member,omitempty"` // one registration of a worker, as the command members names it
	Where  string `json:"where,omitempty"`  // workers whose labels match this selector
	Key    string `json:"key,omitempty"`    // the worker that had this key last, while it lives; else any
	Absent string `json:"absent,omitempty"` // what becomes of the hit while nobody can have it: wait (the default) or fail
}

// What becomes of a hit that nobody can have.
const (
	AbsentWait = "wait"
	AbsentFail = "fail"
)

// Limits of targets and labels.
const (
	MaxLabels   = 64
	MaxLabelKey = 63   // bytes
	MaxLabel    = 128  // bytes of a label's value, and of a key
	MaxSelector = 1024 // bytes
)

// Validate judges a target as a broker does. The error is a *BadMessage that names the field.
func (t *Target) Validate() error {
	n := 0
	for _, s := range []string{t.Worker, t.Member, t.Where, t.Key} {
		if s != "" {
			n++
		}
	}
	switch {
	case n != 1:
		return bad(BadFrame, "OPEN: target names %d of worker, member, where and key: name exactly one", n)
	case t.Absent != "" && t.Absent != AbsentWait && t.Absent != AbsentFail:
		return bad(BadFrame, "OPEN: target: absent is %.100q: wait and fail are possible", t.Absent)
	case len(t.Worker) > MaxName:
		return bad(BadFrame, "OPEN: target: worker has %d bytes: at most %d are possible", len(t.Worker), MaxName)
	case len(t.Key) > MaxLabel:
		return bad(BadFrame, "OPEN: target: key has %d bytes: at most %d are possible", len(t.Key), MaxLabel)
	case len(t.Where) > MaxSelector:
		return bad(BadFrame, "OPEN: target: where has %d bytes: at most %d are possible", len(t.Where), MaxSelector)
	}
	if _, err := ParseMember(t.Member); t.Member != "" && err != nil {
		return err
	}
	return nil
}

// ParseMember reads the name of a worker's registration. The error is a *BadMessage.
func ParseMember(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || n == 0 {
		return 0, bad(BadFrame, "OPEN: target: member is %.100q: take it from the command members", s)
	}
	return uint32(n), nil
}

// CheckLabels judges labels that a message of type t says. The error is a *BadMessage.
func CheckLabels(t Type, labels map[string]string) error {
	if len(labels) > MaxLabels {
		return bad(BadFrame, "%v: labels has %d entries: at most %d are possible", t, len(labels), MaxLabels)
	}
	for k, v := range labels {
		switch {
		case !IsLabelKey(k):
			return bad(BadFrame, "%v: labels: %.100q is no label: letters, digits and ._/- are possible, at most %d bytes", t, k, MaxLabelKey)
		case k == "worker" || k == "host" || k == "lang" || k == "member":
			return bad(BadFrame, "%v: labels: %s is there without being said: leave it out", t, k)
		case !IsLabelValue(v):
			return bad(BadFrame, "%v: labels: %s is %.200q: printable ASCII without blanks and ,|=! is possible, at most %d bytes", t, k, v, MaxLabel)
		}
	}
	return nil
}

// IsLabelKey reports whether s can be the name of a label.
func IsLabelKey(s string) bool {
	if s == "" || len(s) > MaxLabelKey {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '/', c == '-':
		default:
			return false
		}
	}
	return true
}

// IsLabelValue reports whether s can be the value of a label.
func IsLabelValue(s string) bool {
	if len(s) > MaxLabel {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || c == ',' || c == '|' || c == '=' || c == '!' {
			return false
		}
	}
	return true
}
