package assigner

// Done returns a channel that is closed when no call of the hit is possible any more: it was closed or detached here, or ended by its worker, an
// operator, or the loss of a connection. Err says why then. A hit that can be resumed is not over while it waits for its connection to come back.
func (h *Hit) Done() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.done == nil {
		h.done = make(chan struct{})
		if h.ended != nil {
			close(h.done)
		}
	}
	return h.done
}

// Err returns why no call is possible any more, an *Error with the outcome NeverStarted; nil while calls are possible.
func (h *Hit) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended == nil {
		return nil
	}
	return h.ended.notStarted()
}

// fall notes why no call is possible any more. The lock is held.
func (h *Hit) fall(e *Error) {
	if h.ended == nil && h.done != nil {
		close(h.done)
	}
	h.ended = e
}
