package harness

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// Kind says what an event of a timeline is.
type Kind string

// The kinds of events.
const (
	Started Kind = "start"   // a part of the system
	Fault   Kind = "fault"   // was injected
	Mended  Kind = "mend"    // a fault was taken back
	Heard   Kind = "verdict" // somebody judged, see Verdict
	Outcome Kind = "outcome" // of a call, as far as the test notes them
	Ended   Kind = "end"     // a part of the system
)

// Event is one thing that has happened.
type Event struct {
	At      time.Duration // since the timeline began
	Kind    Kind
	Who     string // a part of the system
	Text    string
	Verdict *Verdict // of kind Heard, else nil
}

// Timeline keeps what has happened in a test. It is safe for concurrent use.
type Timeline struct {
	mu      sync.Mutex
	zero    time.Time
	events  []Event
	dropped int
	more    chan struct{} // closed when there is more
	seeds   []string
}

// maxEvents bounds a timeline; of more, the oldest go first.
const maxEvents = 1 << 16

var (
	timelinesMu sync.Mutex
	timelines   = map[testing.TB]*Timeline{}
)

// TimelineOf returns the timeline of a test, which is printed if the test fails.
func TimelineOf(t testing.TB) *Timeline {
	timelinesMu.Lock()
	defer timelinesMu.Unlock()
	if l := timelines[t]; l != nil {
		return l
	}
	l := &Timeline{zero: time.Now(), more: make(chan struct{})}
	timelines[t] = l
	t.Cleanup(func() {
		timelinesMu.Lock()
		delete(timelines, t)
		timelinesMu.Unlock()
		if t.Failed() {
			t.Log("what has happened:\n" + l.String())
		}
	})
	return l
}

// Note adds an event.
func (l *Timeline) Note(kind Kind, who, format string, args ...any) {
	l.add(Event{Kind: kind, Who: who, Text: fmt.Sprintf(format, args...)})
}

// Hear adds a verdict, for sources that the harness does not hear by itself.
func (l *Timeline) Hear(v Verdict) {
	l.add(Event{Kind: Heard, Who: v.By, Text: v.Line(), Verdict: &v})
}

func (l *Timeline) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.At = time.Since(l.zero)
	if e.Verdict != nil {
		e.Verdict.At = e.At
	}
	if len(l.events) == maxEvents {
		half := maxEvents / 2
		l.events, l.dropped = append([]Event(nil), l.events[half:]...), l.dropped+half
	}
	l.events = append(l.events, e)
	close(l.more)
	l.more = make(chan struct{})
}

// Events returns all events so far, in order.
func (l *Timeline) Events() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Event(nil), l.events...)
}

// Since returns the events from number n on, and a channel that is closed when there are more; n + len(events) is the next number to ask for.
func (l *Timeline) Since(n int) (events []Event, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := min(max(n-l.dropped, 0), len(l.events))
	return append([]Event(nil), l.events[at:]...), l.more
}

// Len returns how many events there have been.
func (l *Timeline) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped + len(l.events)
}

// Now returns the time on the timeline.
func (l *Timeline) Now() time.Duration { return time.Since(l.zero) }

// Verdicts returns the verdicts heard so far, in order.
func (l *Timeline) Verdicts() []Verdict {
	var all []Verdict
	for _, e := range l.Events() {
		if e.Verdict != nil {
			all = append(all, *e.Verdict)
		}
	}
	return all
}

// String returns the timeline for people, a line for each event, why-records below their verdicts.
func (l *Timeline) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, seed := range l.seeds {
		fmt.Fprintf(&b, "%s\n", seed)
	}
	if l.dropped > 0 {
		fmt.Fprintf(&b, "(%d earlier events are forgotten)\n", l.dropped)
	}
	for _, e := range l.events {
		fmt.Fprintf(&b, "%9.3fs  %-8s %-12s %s\n", e.At.Seconds(), e.Kind, e.Who, e.Text)
		if e.Verdict != nil {
			fmt.Fprintf(&b, "            why: %s\n", e.Verdict.Raw)
		}
	}
	return b.String()
}
