package butterfly

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// payload is a body: frames, and perhaps more that comes in parts.
type payload struct {
	frames [][]byte
	rest   io.ReadCloser // nil: that is all
	size   int64         // of rest, -1: not known
}

// input is what a call is made with.
type input struct {
	payload
	from []string
	data []json.RawMessage
}

// collect reads the rest into memory.
func (p *payload) collect(most int64) error {
	b, err := io.ReadAll(io.LimitReader(p.rest, most+1))
	if err == nil && int64(len(b)) > most {
		err = &Problem{Status: http.StatusBadGateway, Verdict: "too-large", Detail: fmt.Sprintf("what the stage passed on has more than %d bytes, and goes to one that takes no streams, or to several", most)}
	}
	_ = p.rest.Close()
	p.rest = nil
	p.frames = append(p.frames[:len(p.frames):len(p.frames)], b)
	return err
}

// whole returns how many bytes there are, -1 where that is not known.
func (p *payload) whole() int64 {
	n := int64(0)
	if p.rest != nil {
		if n = p.size; n < 0 {
			return -1
		}
	}
	for _, f := range p.frames {
		n += int64(len(f))
	}
	return n
}

func (p *payload) drop() {
	if p.rest != nil {
		_ = p.rest.Close()
		p.rest = nil
	}
}

// small is the most bytes of a request's body that is sent along with the call, where it could be streamed.
const small = 64 << 10

// body takes the request's body: in memory, or, where the stage has Stream and it is not small, as it comes.
func (x *exchange) body(s *stage) (payload, *Problem) {
	in, cfg := x.in, &x.front.cfg
	if in.Body == nil || in.Body == http.NoBody || in.ContentLength == 0 {
		return payload{}, nil
	}
	most := cfg.MaxBody
	streams := s.Stream && (in.ContentLength < 0 || in.ContentLength > small)
	if streams {
		most = cfg.MaxStream
	}
	if in.ContentLength > most {
		return payload{}, tooLarge(most)
	}
	r := &patientReader{ReadCloser: http.MaxBytesReader(x.out, in.Body, most), control: http.NewResponseController(x.out), patience: cfg.ReadTimeout, most: most}
	if streams {
		_ = r.control.EnableFullDuplex() // else the first byte of the response makes the server throw away what was not read yet
		return payload{rest: r, size: in.ContentLength}, nil
	}
	b, err := io.ReadAll(r)
	r.relax()
	if err != nil {
		return payload{}, problemOfBody(err)
	}
	return payload{frames: [][]byte{b}}, nil
}

func tooLarge(most int64) *Problem {
	return &Problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the body has more than %d bytes, which is the limit", most)}
}

// patientReader gives a client a time for each piece of its body.
type patientReader struct {
	io.ReadCloser
	control  *http.ResponseController
	patience time.Duration
	most     int64
}

// Read is io.Reader's. Its errors are Problems.
func (r *patientReader) Read(b []byte) (int, error) {
	_ = r.control.SetReadDeadline(time.Now().Add(r.patience))
	n, err := r.ReadCloser.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = problemOfBody(err)
	}
	if err != nil {
		r.relax()
	}
	return n, err
}

// relax takes the time limit away, for the connection's next request.
func (r *patientReader) relax() { _ = r.control.SetReadDeadline(time.Time{}) }

func problemOfBody(err error) *Problem {
	var p *Problem
	var large *http.MaxBytesError
	var slow net.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case errors.As(err, &slow) && slow.Timeout():
		return &Problem{Status: http.StatusRequestTimeout, Detail: "the body came too slowly"}
	}
	return &Problem{Status: http.StatusBadRequest, Detail: "the body cannot be read: " + err.Error()}
}
