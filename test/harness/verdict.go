package harness

import (
	"encoding/json"
	"strings"
	"time"
)

// Verdict is what somebody said about a part of the system that is not well, with the reason: the why-record.
type Verdict struct {
	Is       string            `json:"verdict"`   // GONE, FROZEN, STUCK, SLOW, SAID-ERROR, ...
	Detector string            `json:"detector"`  // which instrument saw it
	Measured string            `json:"measured"`  // in words
	Values   map[string]Millis `json:"values_ms"` // what was measured
	Limits   map[string]Millis `json:"limits_ms"` // what that was held against
	Done     string            `json:"done"`      // what was done about it
	Knob     string            `json:"knob"`      // the setting that would change it
	Worker   string            `json:"worker"`
	Client   string            `json:"client"`
	Broker   string            `json:"broker"`
	Hit      string            `json:"hit"` // handle, hexadecimal

	By  string          `json:"-"` // who has said so: a part of the system
	At  time.Duration   `json:"-"` // when it was heard, on the timeline
	Raw json.RawMessage `json:"-"` // the whole record

	expected bool // by the test
}

// Millis is a duration that a record holds in milliseconds.
type Millis int64

// Duration returns it as one.
func (m Millis) Duration() time.Duration { return time.Duration(m) * time.Millisecond }

// ParseVerdict reads a why-record, as logs, errors (assigner.Error.Why) and listings have it. It reports false where that is none.
func ParseVerdict(by string, record []byte) (Verdict, bool) {
	v := Verdict{By: by}
	if len(record) == 0 || record[0] != '{' || json.Unmarshal(record, &v) != nil || v.Is == "" {
		return Verdict{}, false
	}
	v.Raw = append(json.RawMessage(nil), record...)
	return v, true
}

// Line is the verdict in one line.
func (v Verdict) Line() string {
	text := v.Is
	for _, about := range [][2]string{{"worker", v.Worker}, {"client", v.Client}, {"broker", v.Broker}, {"hit", v.Hit}} {
		if about[1] != "" {
			text += " " + about[0] + " " + about[1]
		}
	}
	return strings.Join([]string{text, v.Detector, v.Measured}, ": ")
}

// About reports whether the verdict is about a worker, client or broker of this name, or a hit with this handle.
func (v Verdict) About(name string) bool {
	return name == v.Worker || name == v.Client || name == v.Broker || name == v.Hit
}
