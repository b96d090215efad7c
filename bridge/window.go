package bridge

import "github.com/troupe-mq/troupe/bridge/wire"

// window counts the bytes sent to a peer against what it has allowed (hit.md, section 7).
type window struct {
	size  int64
	sent  uint64
	limit uint64
}

func (w *window) open(size int64) { w.size, w.sent, w.limit = size, 0, uint64(size) }

// shrink sets the window a peer asked for, within what the broker grants. It is called before anything was sent.
func (w *window) shrink(size int64) {
	if size > 0 && size < w.size {
		w.size = max(size, minWindow)
		w.limit = uint64(w.size)
	}
}

// fits reports whether n more bytes may be sent: within the limit, or when less than half a window is unacknowledged. The
// second is what a receiver may never acknowledge, so that waiting for it would be for ever; 1023 is what a limit in KiB rounds away.
func (w *window) fits(n int) bool {
	return w.sent+uint64(n) <= w.limit || w.sent+uint64(w.size)/2 <= w.limit+1023
}

// unacknowledged returns how many bytes were sent that the peer has not acknowledged, as far as is known here.
func (w *window) unacknowledged() int64 { return int64(w.sent+uint64(w.size)) - int64(w.limit) }

// credit takes an acknowledgement and reports whether it moved the limit. A peer cannot allow more than a window beyond
// what was sent.
func (w *window) credit(arg uint32) bool {
	limit := min(wire.CreditLimit(w.limit, arg), w.sent+uint64(w.size))
	if limit <= w.limit {
		return false
	}
	w.limit = limit
	return true
}
