package machine

import (
	"encoding/json"
	"fmt"
)

// Refusal is what a broker says in place of the answer to a command.
type Refusal string

// Error returns its text.
func (r Refusal) Error() string { return string(r) }

// ReadReport reads the answer to a command, the JSON frame of REPORT, into a value; nil: only whether it was refused. The error is a Refusal where the broker has
// refused it; any other says that this is no answer.
func ReadReport(report []byte, into any) error {
	var said struct {
		Error Refusal `json:"error"`
	}
	if err := json.Unmarshal(report, &said); err != nil {
		return fmt.Errorf("the broker's answer cannot be read: %w: is it of another version? see `troupe version`", err)
	}
	if said.Error != "" {
		return said.Error
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(report, into); err != nil {
		return fmt.Errorf("the broker's answer cannot be read: %w: is it of another version? see `troupe version`", err)
	}
	return nil
}
