package machine

import "time"

// Policy says what becomes of a gap in a sequence.
type Policy int

// The policies: the next update tells of the gap and is delivered at once, or waits until the publisher has been asked for what is missing.
const (
	Skip Policy = iota
	CatchUp
)

// Item is one update.
type Item struct {
	Seq    uint64 // from 1, by 1, for each topic of a publisher
	Missed uint64 // how many right before it are lost for good
	Body   any
}

// Ask is a question for the publisher's history: updates From to To, both included.
type Ask struct{ From, To uint64 }

// Result is what follows from an event: items to deliver, in order, and a question to ask if there is one.
type Result struct {
	Deliver []Item
	Ask     *Ask
}

// Flow is one topic of one publisher as a subscriber sees it. The zero value knows nothing yet and skips gaps.
type Flow struct {
	Policy   Policy
	Patience time.Duration // how long an answer may take; then what is missing is lost
	MaxHeld  int           // how many updates wait for those before them at most

	last  uint64
	known bool
	held  []Item // later than a gap that was asked for, by Seq
	until time.Duration
	one   [1]Item
}

// Last returns the number of the last update delivered, and whether it is known where the topic stands.
func (f *Flow) Last() (uint64, bool) { return f.last, f.known }

// Asking reports whether updates wait for those before them, and until when.
func (f *Flow) Asking() (until time.Duration, asking bool) { return f.until, len(f.held) > 0 }

// Stands takes in where the publisher says that the topic stands. What is later than what was delivered has been missed, and may be asked for.
func (f *Flow) Stands(now time.Duration, seq uint64) Result {
	if !f.known {
		f.known, f.last = true, seq
		return Result{}
	}
	if seq <= f.last || f.Policy != CatchUp || len(f.held) > 0 {
		return Result{} // the next update will tell
	}
	f.until = now + f.Patience
	f.held = append(f.held[:0], Item{Seq: seq + 1}) // nothing to deliver: it stands for the end of the question
	return Result{Ask: &Ask{f.last + 1, seq}}
}

// Live takes an update as it was published. The result is valid until the next event.
func (f *Flow) Live(now time.Duration, item Item) Result {
	switch {
	case f.known && item.Seq <= f.last:
		return Result{} // seen, as a last value or out of the history
	case len(f.held) > 0:
		return f.hold(now, item)
	case !f.known || item.Seq == f.last+1 || f.Policy != CatchUp:
		return f.deliver(item)
	}
	f.held, f.until = append(f.held[:0], item), now+f.Patience
	return Result{Ask: &Ask{f.last + 1, item.Seq - 1}}
}

func (f *Flow) deliver(item Item) Result {
	f.one[0] = f.next(item)
	return Result{Deliver: f.one[:]}
}

// next makes an item the last one.
func (f *Flow) next(item Item) Item {
	if f.known {
		item.Missed = item.Seq - f.last - 1
	}
	f.known, f.last = true, item.Seq
	return item
}

func (f *Flow) hold(now time.Duration, item Item) Result {
	end := &f.held[len(f.held)-1]
	switch {
	case end.Body == nil && item.Seq >= end.Seq:
		*end = item
	case item.Seq > end.Seq:
		f.held = append(f.held, item)
	}
	if len(f.held) > f.MaxHeld {
		return f.Over(now)
	}
	return Result{}
}

// Past takes an update out of the publisher's history. Others than those that were asked for are ignored.
func (f *Flow) Past(now time.Duration, item Item) Result {
	if len(f.held) == 0 || item.Seq <= f.last || item.Seq >= f.held[0].Seq {
		return Result{}
	}
	r := f.deliver(item)
	if item.Seq+1 == f.held[0].Seq {
		rest := f.Over(now)
		r.Deliver, r.Ask = append(r.Deliver[:1:1], rest.Deliver...), rest.Ask
	}
	return r
}

// Over takes in that no more of what was asked for will come: what waited is delivered, up to the next gap, which is asked for.
func (f *Flow) Over(now time.Duration) Result {
	var r Result
	for i, item := range f.held {
		if item.Seq <= f.last || item.Body == nil {
			continue
		}
		if i > 0 && item.Seq != f.last+1 {
			f.held, f.until = append([]Item(nil), f.held[i:]...), now+f.Patience
			r.Ask = &Ask{f.last + 1, item.Seq - 1}
			return r
		}
		r.Deliver = append(r.Deliver, f.next(item))
	}
	clear(f.held)
	f.held = f.held[:0]
	return r
}

// Tick gives up waiting when its time is over.
func (f *Flow) Tick(now time.Duration) Result {
	if len(f.held) == 0 || now < f.until {
		return Result{}
	}
	return f.Over(now)
}
