package assigner

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// ServiceError is an error of a service that says more than a text. A handler or session returns it, wrapped or not; the caller gets an *Error with
// its text and why-record that matches ErrService.
type ServiceError struct {
	Text string          // what, why, and what to do
	Why  json.RawMessage // for programs: any JSON value, agreed between service and caller; nil: nothing
}

// Error returns the text.
func (e *ServiceError) Error() string { return e.Text }

// answerServiceError answers a call with the service's own error.
func (s *slot) answerServiceError(seq uint32, err error, last bool) {
	body := [][]byte{s.clip(err.Error())}
	var told *ServiceError
	if errors.As(err, &told) && told.Why != nil {
		if limit := s.from.maxBody.Load(); int64(len(body[0])+len(told.Why)) > limit {
			body[0] = s.clip(fmt.Sprintf("%s (its why-record of %d bytes is left out: the broker takes %d)", body[0], len(told.Why), limit))
		} else {
			body = append(body, told.Why)
		}
	}
	s.answer(wire.Header{Type: wire.Error, Status: wire.ServiceError, Seq: seq, Arg: uint32(wire.Finished)}, last, body...)
}
