package assigner

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// Task makes a single call one that is known by an id: it goes on without whoever has submitted it, and its answer is kept at the broker (hit.md, section 19).
// The zero Task is none.
type Task struct {
	// ID is 1 to 128 printable ASCII characters without blanks, unlike that of any other task of the same key and broker. Submitted twice a task runs once, and
	// both get its answer.
	ID string
	// Keep is for how long the broker keeps the answer from when it was given, at most its TaskConfig.MaxKeep; 0: not at all. From 1 ms to 7 days.
	Keep time.Duration
	// Again runs a task that has failed again, in place of telling its error.
	Again bool
	// Attach asks for the answer of a task that was submitted before, and runs nothing: the body is ignored. An id that is not known is ErrUnknownTask.
	Attach bool
}

// ErrUnknownTask says that nothing is known of a task with this id: it was not submitted here, or its answer is not kept any more.
var ErrUnknownTask = errors.New("no such task")

// ErrLeave is a cause to cancel a context with (context.WithCancelCause): DoWith and DoAt return without cancelling the task, which goes on. It is for tasks with ids at one broker; other calls are nobody's then.
var ErrLeave = errors.New("the caller leaves, the task goes on")

// maxKeep bounds Task.Keep.
const maxKeep = 7 * 24 * time.Hour

func (t *Task) options() (*wire.TaskOptions, error) {
	if *t == (Task{}) {
		return nil, nil
	}
	if t.Keep < 0 || t.Keep > maxKeep || t.Keep > 0 && t.Keep < time.Millisecond {
		return nil, fmt.Errorf("OpenRequest.Task.Keep is %v: from 1 ms to %v are possible, or 0", t.Keep, maxKeep)
	}
	o := &wire.TaskOptions{ID: t.ID, KeepMS: t.Keep.Milliseconds(), Again: t.Again, Attach: t.Attach}
	return o, o.Validate()
}

// TaskConfig bounds what a broker keeps of tasks with ids.
type TaskConfig struct {
	// MaxKeep is how long an answer may be kept, where its submission asks for that; default 10 min, -1: not at all.
	MaxKeep time.Duration
	// Memory is the most bytes of all answers kept; default 64 MiB. Beyond, the one that would be forgotten first makes room.
	Memory int
	// Most is how many tasks with ids there may be, under way and kept; default 1,048,576. Beyond, an answer is forgotten, or the submission is refused: ErrQueueFull.
	Most int
}

func (c *TaskConfig) validate() error {
	if c.MaxKeep < 0 && c.MaxKeep != -1 || c.Memory < 0 || c.Most < 0 {
		return fmt.Errorf("assigner: Tasks: MaxKeep %v, Memory %d, Most %d: none may be negative (MaxKeep -1: no answer is kept)", c.MaxKeep, c.Memory, c.Most)
	}
	return nil
}

func (c *TaskConfig) withDefaults() {
	def(&c.MaxKeep, 10*time.Minute)
	c.MaxKeep = max(c.MaxKeep, 0)
	def(&c.Memory, 64<<20)
	def(&c.Most, 1<<20)
}
