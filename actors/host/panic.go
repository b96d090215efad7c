package host

import (
	"errors"
	"fmt"
)

var errGoexit = errors.New("the handler called runtime.Goexit (a failed test assertion does): return instead")

// Panic is the reason that a supervisor gets when a handler panicked: the engine itself passes on the bare value and
// loses the stack. A supervisor that does not import this package finds the stack through the method PanicStack.
type Panic struct {
	Value any    // what the handler panicked with
	Stack []byte // as of debug.Stack, with the frame that panicked
}

// Error names the value, without the stack.
func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Unwrap returns the value if the handler panicked with an error, so that errors.Is and errors.As see it.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// PanicStack returns the stack of the goroutine at the panic, in the format of debug.Stack. The caller must not
// change it.
func (p *Panic) PanicStack() []byte { return p.Stack }
