package bridge

// Shut closes a DEALER with EndpointConfig.Once: what was sent before leaves within the socket's linger, and its keeper hears nothing more. Shutting
// twice does nothing. It belongs to the loop's goroutine.
func (ep *Endpoint) Shut() {
	if ep.sender == nil || ep.loop.closed {
		return
	}
	if ep.line.due == 0 {
		_, _ = ep.sender.flush()
	}
	if ep.peers[0] != nil {
		ep.forget(ep.peers[0])
	}
	ep.sender.close()
	if ep.sock != nil {
		_ = ep.sock.Close()
	}
	ep.sock, ep.sender, ep.line, ep.shut = nil, nil, line{}, true
	ep.loop.repoll()
}

// expire ends a DEALER whose connection is lost and not to be replaced.
func (ep *Endpoint) expire(detector, detail string) {
	old := ep.peers[0]
	ep.Shut()
	if old != nil {
		ep.loop.tellLoss(old, detector, detail)
	}
}

// place puts an endpoint where another one was shut, or behind all others. Peers keep being different: the generation goes on.
func (l *Loop) place(ep *Endpoint) bool {
	for i, old := range l.eps {
		if old.shut {
			ep.number, ep.gen = i+1, old.gen
			return true
		}
	}
	ep.number = len(l.eps) + 1
	return len(l.eps) < maxEndpoints
}

// keep enters an endpoint that place has given a number.
func (l *Loop) keep(ep *Endpoint) {
	if ep.number <= len(l.eps) {
		l.eps[ep.number-1] = ep
		return
	}
	l.eps = append(l.eps, ep)
}

// maxEndpoints is how many endpoints a loop has at most; a peer's number has eight bits for it.
const maxEndpoints = 200
