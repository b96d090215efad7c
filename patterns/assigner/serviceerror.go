package assigner

import (
	"encoding/json"
	"errors"

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
	body := [][]byte{[]byte(err.Error())}
	var told *ServiceError
	if errors.As(err, &told) && told.Why != nil {
		body = append(body, told.Why)
	}
	s.answer(wire.Header{Type: wire.Error, Status: wire.ServiceError, Seq: seq, Arg: uint32(wire.Finished)}, last, body...)
}
