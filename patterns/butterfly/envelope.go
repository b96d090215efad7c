package butterfly

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/troupe-mq/troupe/patterns/butterfly/machine"
)

// Head is the first frame of a call to a stage: the request, without its body (docs/protocol/butterfly.md, section 2). The frames behind it are bodies: the
// request's own at the first stage, later what the stage before has passed on, or, at a stage that joins, one for each branch.
type Head struct {
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	Query    string            `json:"query,omitempty"` // raw, without the ?
	Host     string            `json:"host,omitempty"`
	Header   http.Header       `json:"header,omitempty"`
	Values   map[string]string `json:"values,omitempty"` // of the wildcards in the route's pattern
	Remote   string            `json:"remote,omitempty"` // the client's address
	Trace    string            `json:"trace"`            // traceparent of the W3C's Trace Context, level 1
	Deadline int64             `json:"deadline_ms"`      // what is left of it when the call is made; 0: none
	Hop      int               `json:"hop"`              // how many stages have had the request before, on all branches
	From     []string          `json:"from,omitempty"`   // which stages the bodies are of; none: the request's own
	Data     []json.RawMessage `json:"data,omitempty"`   // what those have said in data, one for each, null where they have said nothing
}

// verdictHead is the first frame of a stage's answer.
type verdictHead struct {
	Status int             `json:"status,omitempty"` // answers the client
	Header http.Header     `json:"header,omitempty"`
	Next   bool            `json:"next,omitempty"` // the next stage of the route
	To     []string        `json:"to,omitempty"`   // these
	Join   string          `json:"join,omitempty"` // with several
	Data   json.RawMessage `json:"data,omitempty"` // for the next ones
}

// parse reads the head of an answer. The error is what is wrong with it.
func (v *verdictHead) parse(b []byte) (machine.Answer, error) {
	if err := json.Unmarshal(b, v); err != nil {
		return machine.Answer{}, fmt.Errorf("the first frame of its answer is no JSON object: %w", err)
	}
	n := 0
	for _, is := range []bool{v.Status != 0, v.Next, len(v.To) > 0} {
		if is {
			n++
		}
	}
	switch {
	case n != 1:
		return machine.Answer{}, fmt.Errorf("its answer has %d of status, next and to: exactly one belongs there", n)
	case v.Status != 0 && (v.Status < 200 || v.Status > 599):
		return machine.Answer{}, fmt.Errorf("its answer has the status %d: from 200 to 599 are possible", v.Status)
	case v.Join != "" && len(v.To) < 2:
		return machine.Answer{}, fmt.Errorf("its answer joins at %q what goes to %d stages: join is for several", v.Join, len(v.To))
	case len(v.To) > 0:
		return machine.Answer{Verdict: machine.To, To: v.To, Join: v.Join}, nil
	case v.Next:
		return machine.Answer{Verdict: machine.Next}, nil
	}
	return machine.Answer{}, nil
}

// append appends the head as JSON. It is what encoding/json makes of it, at a fraction of the time: every request pays for it at every stage.
func (h *Head) append(b []byte) []byte {
	b = appendString(append(b, `{"method":`...), h.Method)
	b = appendString(append(b, `,"path":`...), h.Path)
	for _, f := range [...]struct{ name, value string }{{`,"query":`, h.Query}, {`,"host":`, h.Host}, {`,"remote":`, h.Remote}, {`,"trace":`, h.Trace}} {
		if f.value != "" {
			b = appendString(append(b, f.name...), f.value)
		}
	}
	if len(h.Header) > 0 {
		b = append(b, `,"header":{`...)
		for name, values := range h.Header {
			b = append(appendString(b, name), ':')
			b = append(appendStrings(b, values), ',')
		}
		b[len(b)-1] = '}'
	}
	if len(h.Values) > 0 {
		b = append(b, `,"values":{`...)
		for name, value := range h.Values {
			b = append(appendString(append(appendString(b, name), ':'), value), ',')
		}
		b[len(b)-1] = '}'
	}
	b = strconv.AppendInt(append(b, `,"deadline_ms":`...), h.Deadline, 10)
	b = strconv.AppendInt(append(b, `,"hop":`...), int64(h.Hop), 10)
	if len(h.From) > 0 {
		b = appendStrings(append(b, `,"from":`...), h.From)
		b = append(b, `,"data":[`...)
		for _, d := range h.Data {
			if len(d) == 0 {
				d = null
			}
			b = append(append(b, d...), ',')
		}
		b[len(b)-1] = ']'
	}
	return append(b, '}')
}

var null = json.RawMessage("null")

func appendStrings(b []byte, all []string) []byte {
	if len(all) == 0 {
		return append(b, "[]"...)
	}
	b = append(b, '[')
	for _, s := range all {
		b = append(appendString(b, s), ',')
	}
	b[len(b)-1] = ']'
	return b
}

// appendString appends a text as JSON. Bytes that are no UTF-8 become U+FFFD, as encoding/json has it.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			text, err := json.Marshal(s)
			if err != nil {
				panic("butterfly: a text without a JSON form: " + err.Error())
			}
			return append(b, text...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
