package chaos

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/harness"
)

// stickers is how many hits are stuck at the same time.
const stickers = 3

// stuckLane sticks the threads of hits, asleep and computing in turns. The broker has to say so once, and take it back when the thread goes on. They are
// at a broker of their own, where nothing else is wrong: a judge that is disturbed counts anew.
func (w *world) stuckLane(ctx context.Context, number int) {
	chance := harness.Chance(w.seed, uint64(500+number))
	for i := 0; ctx.Err() == nil; i++ {
		w.rest(ctx, time.Duration(chance.IntN(300))*time.Millisecond)
		if ctx.Err() == nil {
			w.stick(w.calm, fmt.Sprintf("stuck-%d-%d", number, i), (i+number)%3 != 0)
		}
	}
}

func (w *world) stick(b *broker, key string, asleep bool) {
	limit, cancel := context.WithTimeout(context.Background(), due)
	defer cancel()
	h, err := b.look.OpenWith(limit, assigner.OpenRequest{Service: ServiceName, Session: about{key}, Label: key})
	if err != nil {
		w.blame("lost", "a hit at a broker without faults could not be opened: %v", err)
		return
	}
	kind, ms := "stick-asleep", w.form.Stuck.Milliseconds()+1000
	if !asleep {
		kind, ms = "stick-computing", -ms
	}
	handle := strconv.FormatUint(h.Handle(), 16)
	w.mu.Lock()
	w.stuck[handle] = true
	w.mu.Unlock()
	f := w.begin(kind, handle, "")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, err := h.Call(limit, fmt.Appendf(nil, "1 %d", ms)); err != nil {
			w.blame("wrong", "hit %s was stuck, and nothing else: %v", handle, err)
		}
	}()
	w.stuckVerdict(f, b, ended)
	<-ended
	_ = h.Close(limit)
	w.end(f)
}

// stuckVerdict waits until the broker says so, or the call has ended without a word.
func (w *world) stuckVerdict(f *fault, b *broker, ended <-chan struct{}) {
	number, last := 0, false
	for {
		events, more := w.Since(number)
		for _, e := range events {
			if v := e.Verdict; v != nil && v.By == b.name && v.Hit == f.part && v.Is == "STUCK" {
				w.mu.Lock()
				defer w.mu.Unlock()
				f.verdicts = append(f.verdicts, heard{v.Is, v.At - f.from})
				return
			}
		}
		number += len(events)
		if last {
			w.mu.Lock()
			defer w.mu.Unlock()
			f.unheard = true
			return
		}
		select {
		case <-ended:
			last = true
		case <-more:
		}
	}
}
