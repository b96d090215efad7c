package main

import (
	"encoding/base64"
	"time"
	"unicode/utf8"
)

// reply is an answer as -o json prints it. Frames are text, or base64 where one of them is not UTF-8.
type reply struct {
	Service  string   `json:"service,omitempty"`
	Hit      string   `json:"hit,omitempty"`
	Worker   string   `json:"worker,omitempty"`
	Thread   int      `json:"thread,omitempty"`
	Encoding string   `json:"encoding"`
	Frames   []string `json:"frames"`
	MS       float64  `json:"ms,omitempty"`

	bytes [][]byte
}

func newReply(service string, frames [][]byte, took time.Duration) reply {
	r := reply{Service: service, Encoding: "utf-8", MS: float64(took.Microseconds()) / 1000, bytes: frames}
	encode := func(b []byte) string { return string(b) }
	for _, f := range frames {
		if !utf8.Valid(f) {
			r.Encoding, encode = "base64", base64.StdEncoding.EncodeToString
		}
	}
	for _, f := range frames {
		r.Frames = append(r.Frames, encode(f))
	}
	return r
}

// printReply prints each frame as a line, or raw.
func (a *app) printReply(raw bool, r reply) error {
	if a.json() {
		return a.printJSON(r)
	}
	for _, f := range r.bytes {
		if n := len(f); !raw && (n == 0 || f[n-1] != '\n') {
			f = append(f, '\n')
		}
		if _, err := a.out.Write(f); err != nil {
			return err
		}
	}
	return nil
}
