package main

import "fmt"

// judge writes down every claim that does not hold.
func (r *Report) judge() {
	claim := func(holds bool, format string, args ...any) {
		if !holds {
			r.Broken = append(r.Broken, fmt.Sprintf(format, args...))
		}
	}
	for _, o := range r.Overlaps {
		most, all := 0, 0
		for _, n := range o.ByProcess {
			most, all = max(most, n), all+n
		}
		claim(most >= claimedOverlap, "round %d: at most %d transactions were open at the same moment in one worker process, not %d", o.Round, most, claimedOverlap)
		claim(all == r.Clients, "round %d: of %d clients %d were inside a transaction at the same moment", o.Round, r.Clients, all)
	}
	for _, h := range r.Hits {
		claim(h.Replies > 0 && h.Same == h.Replies, "hit %s: of %d replies %d came from its thread %d of process %d", h.Hit, h.Replies, h.Same, h.Thread, h.PID)
		claim(h.Real, "hit %s: the kernel knows no thread %d in process %d", h.Hit, h.Thread, h.PID)
	}
	for _, w := range r.Workers {
		claim(w.Hits > 0, "the %s worker process %d has served no hit", w.Lang, w.Process)
	}
	r.judgeCrash(claim)
	r.judgeBlobs(claim)
	t := r.Totals
	done := t.Transfers + t.Audits + t.Regrets + t.Overdrawn
	claim(done == t.Meant, "%d transactions were to be done, %d are", t.Meant, done)
	claim(r.Tables.Difference == "" && r.Tables.LedgerSHA256 == r.Tables.DatabaseSHA256, "the tables are not what was committed: %s", r.Tables.Difference)
}

func (r *Report) judgeCrash(claim func(bool, string, ...any)) {
	c := r.Crash
	failed, untouched := 0, 0
	for _, h := range r.Hits {
		switch {
		case h.Round != 1 || h.PID != c.Process:
			claim(h.End == "closed", "hit %s at process %d, which was not killed, ended with %s: %s", h.Hit, h.PID, h.End, h.Reason)
		default:
			claim(h.End == "worker-gone" && h.Reason != "", "hit %s at the killed process ended with %q, not with worker-gone and a reason", h.Hit, h.End)
		}
	}
	first := r.Overlaps[0].ByProcess
	for pid, n := range first {
		if pid == c.Process {
			failed += n
		} else {
			untouched += n
		}
	}
	claim(c.Failed == failed, "%d hits were open at the process that was killed, %d failed", failed, c.Failed)
	claim(c.Untouched == untouched, "%d hits were open elsewhere when the process was killed, %d ended well", untouched, c.Untouched)
	claim(c.InFlight == 1 && c.Outcome == "outcome unknown", "the COMMIT in flight ended with %q: %s", c.Outcome, c.Told)
	claim(c.Resolution != "", "the COMMIT in flight was not looked up")
}
