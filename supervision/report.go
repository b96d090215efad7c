package supervision

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// UnstoppedError names what did not stop in time. The children of an
// abandoned supervisor are not named one by one.
type UnstoppedError struct {
	// Abandoned are the PIDs of children that passed their own deadline.
	Abandoned []string
	// Waiting are those who had not stopped when the caller's context ended,
	// or when the supervisor that waited for them was itself abandoned.
	Waiting []string
	// Cause is the error of the caller's context, or nil.
	Cause error
}

// Error names all of them.
func (e *UnstoppedError) Error() string {
	var parts []string
	if len(e.Abandoned) > 0 {
		parts = append(parts, "abandoned after their deadline: "+strings.Join(e.Abandoned, ", "))
	}
	if len(e.Waiting) > 0 {
		parts = append(parts, "still stopping: "+strings.Join(e.Waiting, ", "))
	}
	if e.Cause != nil {
		parts = append(parts, e.Cause.Error())
	}
	return fmt.Sprintf("supervision: not everything stopped (%s): find what blocks these handlers, or raise Shutdown",
		strings.Join(parts, "; "))
}

// Unwrap returns the error of the caller's context, or nil.
func (e *UnstoppedError) Unwrap() error { return e.Cause }

// report collects, for a whole tree, who was abandoned and who is being waited
// for. It is goroutine-safe, so that it can be read while a supervisor hangs.
type report struct {
	mu        sync.Mutex
	abandoned []string
	waiting   map[string]string // by supervisor
}

func (r *report) abandon(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.abandoned = append(r.abandoned, path)
}

// wait notes what the supervisor is waiting for; "" is nothing.
func (r *report) wait(supervisor, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if what == "" {
		delete(r.waiting, supervisor)
		return
	}
	if r.waiting == nil {
		r.waiting = map[string]string{}
	}
	r.waiting[supervisor] = what
}

// err returns nil if everything has stopped.
func (r *report) err(cause error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.abandoned) == 0 && cause == nil {
		return nil
	}
	return &UnstoppedError{Abandoned: slices.Clone(r.abandoned), Waiting: r.sorted(), Cause: cause}
}

// awaited returns what is being waited for.
func (r *report) awaited() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sorted()
}

func (r *report) sorted() []string {
	return slices.Sorted(maps.Values(r.waiting))
}
