package why

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Record is the reason of one verdict. The zero value of every optional field is left out of the JSON form.
type Record struct {
	Verdict  string           `json:"verdict"`             // GONE, FROZEN, STUCK, SLOW, SAID-ERROR, KILLED, CRASHED, REVOKED; HEALTHY takes one back
	Detector string           `json:"detector"`            // the instrument that saw it
	Measured string           `json:"measured"`            // in words, with values
	Values   map[string]int64 `json:"values_ms,omitempty"` // what was measured
	Limits   map[string]int64 `json:"limits_ms,omitempty"` // what that was held against
	Heard    []Sign           `json:"heard,omitempty"`     // the last things heard, the latest first; at most MaxHeard
	Done     string           `json:"done"`                // what was done about it
	Knob     string           `json:"knob,omitempty"`      // the setting that would change it
	Worker   string           `json:"worker,omitempty"`    // its name
	Client   string           `json:"client,omitempty"`    // its name
	Broker   string           `json:"broker,omitempty"`    // its name
	Hit      string           `json:"hit,omitempty"`       // handle, hex
	Call     uint32           `json:"call,omitempty"`      // seq
	AgeMS    int64            `json:"age_ms"`              // how long the hit, or the connection where there is none, had lived
	AtMS     int64            `json:"at_ms,omitempty"`     // when, by the clock of who judged
}

// Sign is one thing that was heard of a peer.
type Sign struct {
	What  string `json:"what"`
	AgoMS int64  `json:"ago_ms"` // before the verdict
}

// MaxHeard is how many signs a record keeps.
const MaxHeard = 8

// Hear adds signs, the latest first, as far as there is room.
func (r *Record) Hear(signs ...Sign) {
	r.Heard = append(r.Heard, signs[:min(len(signs), MaxHeard-len(r.Heard))]...)
}

// Measure notes a value and the limit that it was held against.
func (r *Record) Measure(name string, value, limit time.Duration) {
	if r.Values == nil {
		r.Values, r.Limits = make(map[string]int64), make(map[string]int64)
	}
	r.Values[name], r.Limits[name] = value.Milliseconds(), limit.Milliseconds()
}

// JSON returns the record as one JSON object.
func (r Record) JSON() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("why: a record without a JSON form: " + err.Error())
	}
	return b
}

// Parse reads the JSON form. Unknown fields are ignored, so that records of later versions can be read.
func Parse(b []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("why: not a why-record: %w: is it of another version?", err)
	}
	if r.Verdict == "" {
		return r, fmt.Errorf("why: not a why-record: it has no verdict: %.100q", b)
	}
	return r, nil
}

// Line is the record in one line, for logs and errors.
func (r Record) Line() string {
	return strings.Join([]string{r.Verdict, r.Detector, r.Measured}, ": ")
}

// Text is the record for people, one fact a line, without a newline at the end.
func (r Record) Text() string {
	b := &strings.Builder{}
	b.WriteString(r.Verdict)
	for _, about := range [][2]string{{"worker", r.Worker}, {"client", r.Client}, {"broker", r.Broker}, {"hit", r.Hit}} {
		if about[1] != "" {
			fmt.Fprintf(b, "  %s %s", about[0], about[1])
		}
	}
	if r.Call != 0 {
		fmt.Fprintf(b, "  call %d", r.Call)
	}
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "\n  %-9s %s", name, text)
		}
	}
	line("detector", r.Detector)
	line("measured", r.Measured)
	line("values", r.values())
	line("heard", r.heard())
	line("done", r.Done)
	line("knob", r.Knob)
	line("age", span(r.AgeMS))
	return b.String()
}

func (r Record) values() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		text := name + " " + span(r.Values[name])
		if limit, ok := r.Limits[name]; ok {
			text += " (limit " + span(limit) + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func (r Record) heard() string {
	var all []string
	for _, s := range r.Heard {
		all = append(all, s.What+" "+span(s.AgoMS)+" before")
	}
	return strings.Join(all, ", ")
}

func span(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }
