package chaos

import (
	"fmt"
	"sort"
	"strings"
)

// Violation is a promise that was broken.
type Violation struct {
	Promise string `json:"promise"` // lost, doubled, stale, threads, order, untyped, wrong, verdict
	Text    string `json:"text"`
}

// Violations collects violations, counted by promise; of each, the first are kept. It belongs to one goroutine at a time.
type Violations struct {
	Counts map[string]int
	First  []Violation
}

const violationsKept = 20

// Add adds one.
func (v *Violations) Add(promise, format string, args ...any) {
	if v.Counts == nil {
		v.Counts = make(map[string]int)
	}
	v.Counts[promise]++
	if len(v.First) < violationsKept {
		v.First = append(v.First, Violation{promise, fmt.Sprintf(format, args...)})
	}
}

// Total returns how many there are.
func (v *Violations) Total() int {
	n := 0
	for _, c := range v.Counts {
		n += c
	}
	return n
}

// Audit holds what callers were told against what has run. Keys that begin with one of the cut prefixes are those of clients that were killed: what they were told last
// may be missing.
func Audit(told []Told, sessions map[string]*Session, cut []string, v *Violations) {
	byKey := make(map[string][]Told)
	for _, t := range told {
		byKey[t.Key] = append(byKey[t.Key], t)
	}
	moved := restarted(sessions)
	for key, calls := range byKey {
		if calls[0].Kind == again {
			auditAgain(key, calls, moved[key], v)
		} else {
			auditHit(key, calls, sessions[key], v)
		}
	}
	for name, s := range sessions {
		auditSession(name, s, v)
		key, _, _ := strings.Cut(name, manySessions)
		if byKey[key] == nil && len(s.Runs) > 0 && !hasPrefix(key, cut) {
			v.Add("lost", "hit %s: %d calls have run, and nobody was told what became of them", key, len(s.Runs))
		}
	}
}

// restarted returns how often each call of a hit with several sessions has run.
func restarted(sessions map[string]*Session) map[string]map[int]int {
	all := make(map[string]map[int]int)
	for name, s := range sessions {
		key, _, is := strings.Cut(name, manySessions)
		if !is {
			continue
		}
		if all[key] == nil {
			all[key] = make(map[int]int)
		}
		for _, r := range s.Runs {
			all[key][r.No]++
		}
	}
	return all
}

// mostRuns is how often a call may run that may run again: once, and once more for each of the three times that its hit is moved.
const mostRuns = 4

// auditAgain judges what the callers of a hit were told that may have moved.
func auditAgain(key string, calls []Told, ran map[int]int, v *Violations) {
	replied := make(map[int]bool)
	for _, t := range calls {
		auditCall(key, t, min(ran[t.No], 1), v)
		if n := ran[t.No]; n > mostRuns {
			v.Add("doubled", "hit %s, call %d may run again, and has run %d times", key, t.No, n)
		}
		if t.Replied && replied[t.No] {
			v.Add("doubled", "hit %s, call %d was answered twice", key, t.No)
		}
		replied[t.No] = replied[t.No] || t.Replied
	}
}

// Moved counts the calls that were answered though the worker that had them first was lost.
func Moved(told []Told, sessions map[string]*Session) int {
	n, ran := 0, restarted(sessions)
	for _, t := range told {
		if t.Replied && t.Kind == again && ran[t.Key][t.No] > 1 {
			n++
		}
	}
	return n
}

func hasPrefix(key string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(key, p) {
			return true
		}
	}
	return false
}

// auditSession judges what ran by itself: one thread, one call after another, in order.
func auditSession(key string, s *Session, v *Violations) {
	if s.Overlap != "" {
		v.Add("threads", "hit %s: %s", key, s.Overlap)
	}
	for i := range s.Runs[min(1, len(s.Runs)):] {
		before, r := s.Runs[i], s.Runs[i+1]
		if r.Thread != before.Thread {
			v.Add("threads", "hit %s: call %d ran on thread %s, call %d on thread %s", key, before.No, before.Thread, r.No, r.Thread)
		}
		if r.Seq <= before.Seq {
			v.Add("order", "hit %s: call %d (seq %d) ran after call %d (seq %d)", key, r.No, r.Seq, before.No, before.Seq)
		}
	}
}

// auditHit judges what the callers of one hit were told.
func auditHit(key string, calls []Told, s *Session, v *Violations) {
	ran := make(map[int]int)
	if s != nil {
		for _, r := range s.Runs {
			ran[r.No]++
		}
	}
	var counts []Told
	var over int64
	for _, t := range calls {
		auditCall(key, t, ran[t.No], v)
		if t.Replied {
			counts = append(counts, t)
		}
		if t.Over > 0 && (over == 0 || t.Over < over) {
			over = t.Over
		}
	}
	// The session has counted its calls: two replies with the same number are of one and the same call.
	sort.Slice(counts, func(i, j int) bool { return counts[i].Count < counts[j].Count })
	for i := range counts[min(1, len(counts)):] {
		if counts[i].Count == counts[i+1].Count {
			v.Add("doubled", "hit %s: calls %d and %d were both told that they are the session's call %d", key, counts[i].No, counts[i+1].No, counts[i].Count)
		}
	}
	if over > 0 && calls[0].Kind == "direct" && s != nil {
		auditStale(key, s, over, v)
	}
}

// auditStale: the worker of a direct hit has a lease, so that nothing begins once the client was told. One call may: its thread may have been stopped between the look at the
// lease and the first line of the service.
func auditStale(key string, s *Session, over int64, v *Violations) {
	late := 0
	for _, r := range s.Runs {
		if r.At > over {
			late++
		}
	}
	if late > 1 {
		v.Add("stale", "hit %s: %d calls have begun after its client was told that it is lost", key, late)
	}
}

func auditCall(key string, t Told, ran int, v *Violations) {
	switch {
	case t.Lost:
		v.Add("lost", "hit %s (%s), call %d: nobody has ended it: %s", key, t.Kind, t.No, t.Status)
	case t.Wrong != "":
		v.Add("wrong", "hit %s (%s), call %d: %s", key, t.Kind, t.No, t.Wrong)
	case ran > 1:
		v.Add("doubled", "hit %s (%s), call %d has run %d times", key, t.Kind, t.No, ran)
	case t.Replied && ran == 0:
		v.Add("stale", "hit %s (%s), call %d has a reply and has not run", key, t.Kind, t.No)
	case !t.Replied && t.Outcome == "never started" && ran > 0:
		v.Add("wrong", "hit %s (%s), call %d: its caller was told %s, never started, and it has run", key, t.Kind, t.No, t.Status)
	}
}
