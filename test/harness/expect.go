package harness

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Want is a verdict that a test expects. Empty fields match everything.
type Want struct {
	Is string // GONE, FROZEN, ...
	Of string // name of a worker, client or broker, or a hit's handle
	By string // who says so: the name of a part of the system
	// Value names one of the values that the why-record has measured; it must be within Least and Most (0: without limit). So a bound holds however late the test
	// itself runs. Empty: nothing is compared.
	Value       string
	Least, Most time.Duration
}

// String is the verdict in words.
func (w Want) String() string {
	text := w.Is
	if w.Is == "" {
		text = "any verdict"
	}
	if w.Of != "" {
		text += " of " + w.Of
	}
	if w.By != "" {
		text += " by " + w.By
	}
	return text
}

func (w Want) matches(v *Verdict) bool {
	return (w.Is == "" || w.Is == v.Is) && (w.Of == "" || v.About(w.Of)) && (w.By == "" || w.By == v.By)
}

// check compares the measured value with the bounds.
func (w Want) check(v *Verdict) error {
	if w.Value == "" {
		return nil
	}
	ms, ok := v.Values[w.Value]
	switch d := ms.Duration(); {
	case !ok:
		return fmt.Errorf("the record of %s has not measured %q: %s", v.Line(), w.Value, v.Raw)
	case d < w.Least:
		return fmt.Errorf("%s came after %s of %v, at least %v are due: %s", v.Line(), w.Value, d, w.Least, v.Raw)
	case w.Most > 0 && d > w.Most:
		return fmt.Errorf("%s came after %s of %v, at most %v are allowed: %s", v.Line(), w.Value, d, w.Most, v.Raw)
	}
	return nil
}

// Expect waits until the verdict is heard, and returns it. One that was heard before and not yet expected counts, too. It fails the test when the verdict does not come, or
// is not within its bounds.
func (l *Timeline) Expect(t testing.TB, w Want) Verdict {
	t.Helper()
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	for {
		v, more := l.take(w)
		if v != nil {
			if err := w.check(v); err != nil {
				t.Fatal(err)
			}
			return *v
		}
		select {
		case <-more:
		case <-limit.C:
			t.Fatalf("nobody has said %v", w)
		}
	}
}

// take looks for a verdict that nobody has expected yet; more is closed when there may be one.
func (l *Timeline) take(w Want) (v *Verdict, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.events {
		if v := l.events[i].Verdict; v != nil && !v.expected && w.matches(v) {
			v.expected = true
			return v, nil
		}
	}
	return nil, l.more
}

// ExpectNone fails the test if a verdict was heard that no Expect has taken, but for those that match one of the exceptions. Call it when what could have led to one has
// been seen to be over, say after a call through the part in question.
func (l *Timeline) ExpectNone(t testing.TB, except ...Want) {
	t.Helper()
	var wrong []string
	l.mu.Lock()
	for i := range l.events {
		if v := l.events[i].Verdict; v != nil && !v.expected && !anyMatches(except, v) {
			wrong = append(wrong, v.By+" says "+v.Line())
		}
	}
	l.mu.Unlock()
	if len(wrong) > 0 {
		t.Fatalf("verdicts without a reason:\n%s", strings.Join(wrong, "\n"))
	}
}

func anyMatches(wants []Want, v *Verdict) bool {
	for _, w := range wants {
		if w.matches(v) {
			return true
		}
	}
	return false
}
