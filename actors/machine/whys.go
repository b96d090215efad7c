package machine

import (
	"cmp"
	"fmt"
	"time"

	"github.com/troupe-mq/troupe/supervision/liveness"
	"github.com/troupe-mq/troupe/supervision/why"
)

// maxWhys is how many why-records a broker keeps of peers, and as many of hits.
const maxWhys = 1024

// sign is one thing that was heard, so long ago.
func sign(what string, ago time.Duration) why.Sign {
	return why.Sign{What: what, AgoMS: max(ago, 0).Milliseconds()}
}

// why begins a record about the hit: who it is of, and what its thread did last.
func (h *Hit) why(now time.Duration, verdict string) Why {
	y := Why{
		Verdict: verdict, Worker: h.names.Worker, Hit: fmt.Sprintf("%x", h.Handle), AgeMS: (now - h.Opened).Milliseconds(), AtMS: now.Milliseconds(),
	}
	if h.progress.Sign != h.progress.Began && h.progress.Sign != 0 {
		y.Hear(sign("progress of its thread", h.progress.Sign.Ago(now)))
	}
	switch {
	case h.State == Opening && !h.OneShot:
		y.Hear(sign("the order to open the session was passed on", now-h.Opened))
	case h.Accepted != h.Answered:
		y.Hear(sign(fmt.Sprintf("the turn of call %d came", h.Answered+1), h.progress.Began.Ago(now)))
	case h.Answered > 0:
		y.Hear(sign(fmt.Sprintf("the answer to call %d", h.Answered), h.progress.Sign.Ago(now)))
	}
	return y
}

// record keeps a why-record.
func (b *Broker) record(y Why, fx []Effect) []Effect {
	b.store(y)
	b.limits.diary.verdict(&y)
	return fx
}

// store keeps a why-record of which another event tells.
func (b *Broker) store(y Why) {
	y.Broker = cmp.Or(y.Broker, b.cfg.Name)
	b.limits.store.Add(y)
}

// keepWhy keeps the record of a hit's end.
func (h *Hit) keepWhy(y Why) {
	h.names.limits.store.Add(y)
	h.names.limits.diary.verdict(&y)
}

// WhyReport is the answer to the admin command why.
type WhyReport struct {
	About   string            `json:"about,omitempty"`
	Records []Why             `json:"records"` // the latest first
	Counts  map[string]uint64 `json:"counts"`  // of all verdicts since the broker's start
	Dropped uint64            `json:"dropped"` // records that had to make room
	NowMS   int64             `json:"now_ms"`  // by the clock of at_ms
	Starved uint64            `json:"starved"` // how often the broker itself stood still, and judged nobody for that
	LateMS  int64             `json:"worst_late_ms"`
}

// listWhys answers the admin command why: about a worker, a hit or a client, or about everybody.
func (b *Broker) listWhys(now time.Duration, r AdminRequest) any {
	limit := r.Limit
	if limit <= 0 || limit > maxPage {
		limit = 20
	}
	report := WhyReport{About: r.About, Counts: b.limits.store.Counts(), Dropped: b.limits.store.Dropped(), NowMS: now.Milliseconds()}
	starved, worst := b.judge.Starved()
	report.Starved, report.LateMS = starved, worst.Milliseconds()
	if r.About == "" {
		report.Records = b.limits.store.Find(limit, func(*Why) bool { return true })
		return report
	}
	report.Records = b.limits.store.About(r.About, limit)
	return report
}

// lastWhy is the latest verdict about a worker, in one line.
func (b *Broker) lastWhy(name string) string {
	found := b.limits.store.Find(1, func(y *Why) bool { return y.Worker == name && y.Verdict != liveness.SaidError.String() })
	if len(found) == 0 {
		return ""
	}
	return found[0].Verdict + ": " + found[0].Measured
}
