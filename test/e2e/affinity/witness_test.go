package affinity_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/tls"
)

// testimony is what a session says about each of its calls, and what a client holds against what it knows.
type testimony struct {
	Hit    uint64 `json:"hit"`
	Seq    uint32 `json:"seq"`
	Thread int    `json:"thread"` // as the kernel says it, during the call
	Value  uint64 `json:"value"`  // thread-local, found during the call
	Lane   int    `json:"lane"`   // of the client, echoed
	Number int    `json:"number"` // of the call within its lane, echoed
	Inside int    `json:"inside"` // calls inside the barrier when it opened
	Wrong  string `json:"wrong"`  // what the session itself found wrong
}

// witness is a session that watches its thread: it leaves a thread-local value at the opening and looks for it ever after.
type witness struct {
	scene  *scene
	hit    uint64
	thread int
	value  uint64
	seq    uint32
	lanes  map[int]int
	wrong  string
}

// scene is what the witnesses of one worker process share.
type scene struct {
	barrier *barrier
	opened  atomic.Int64
	closed  atomic.Int64
	broken  atomic.Int64 // sessions that found something wrong, at any time
	first   atomic.Value // string: what was found first
}

func (s *scene) services(threads assigner.Threads, keep bool) map[string]assigner.Service {
	return map[string]assigner.Service{
		"witness": {Open: s.open, Threads: threads, KeepThread: keep},
		"verdict": {Handler: s.verdict, Threads: assigner.Goroutines},
	}
}

func (s *scene) open(_ context.Context, o *assigner.Opening) (assigner.Session, error) {
	w := &witness{scene: s, hit: o.Hit, thread: tls.Thread(), lanes: make(map[int]int)}
	if err := json.Unmarshal(o.Session, &w.value); err != nil {
		return nil, err
	}
	if o.Thread != w.thread {
		w.blame("OPENED names thread %d, the session was opened on %d", o.Thread, w.thread)
	}
	tls.Set(w.value)
	s.opened.Add(1)
	return w, nil
}

func (w *witness) blame(format string, args ...any) {
	if w.wrong == "" {
		w.wrong = fmt.Sprintf(format, args...)
		w.scene.broken.Add(1)
		w.scene.first.CompareAndSwap(nil, w.wrong)
	}
}

// check looks at thread and value.
func (w *witness) check(when string) {
	if thread := tls.Thread(); thread != w.thread {
		w.blame("%s ran on thread %d, the opening on %d", when, thread, w.thread)
	}
	if value := tls.Get(); value != w.value {
		w.blame("%s found the thread-local value %x, the opening left %x", when, value, w.value)
	}
}

// Call is assigner.Session's. The body is "LANE NUMBER", or "barrier".
func (w *witness) Call(ctx context.Context, c *assigner.Call) ([]byte, error) {
	w.check("a call")
	if c.Seq != w.seq+1 || c.Hit != w.hit {
		w.blame("call %d of hit %x came after call %d of hit %x", c.Seq, c.Hit, w.seq, w.hit)
	}
	w.seq = c.Seq
	t := testimony{Hit: w.hit, Seq: c.Seq, Thread: tls.Thread(), Value: tls.Get()}
	if body := string(c.Body()); body == "barrier" {
		inside, err := w.scene.barrier.enter(ctx, w.thread)
		if err != nil {
			return nil, err
		}
		t.Inside = inside
		w.check("the end of the barrier")
	} else {
		if _, err := fmt.Sscanf(body, "%d %d", &t.Lane, &t.Number); err != nil {
			return nil, err
		}
		if last := w.lanes[t.Lane]; t.Number != last+1 {
			w.blame("lane %d: call %d came after call %d", t.Lane, t.Number, last)
		}
		w.lanes[t.Lane] = t.Number
	}
	t.Wrong = w.wrong
	return json.Marshal(t)
}

// Close is assigner.Session's.
func (w *witness) Close() error {
	w.check("the close")
	tls.Set(0)
	w.scene.closed.Add(1)
	return nil
}

// verdict says what the sessions of the process have seen.
type verdict struct {
	Opened, Closed, Broken int64
	First                  string
}

func (s *scene) verdict(context.Context, *assigner.Call) ([]byte, error) {
	first, _ := s.first.Load().(string)
	return json.Marshal(verdict{s.opened.Load(), s.closed.Load(), s.broken.Load(), first})
}

// barrier opens when all its threads are inside it at the same time.
type barrier struct {
	mu      sync.Mutex
	threads map[int]bool
	inside  int
	want    int
	limit   time.Duration // how long an incomplete barrier is waited for
	open    chan struct{} // closed when the barrier opens, or breaks
	err     error
}

func newBarrier(want int, limit time.Duration) *barrier {
	return &barrier{threads: make(map[int]bool), want: want, limit: limit, open: make(chan struct{})}
}

// enter returns how many calls were inside when the last one came, which is all or an error. Once somebody has waited too long, all give up.
func (b *barrier) enter(ctx context.Context, thread int) (int, error) {
	b.mu.Lock()
	b.inside++
	b.threads[thread] = true
	if b.inside == b.want && b.err == nil {
		b.err = b.complete()
		close(b.open)
	}
	b.mu.Unlock()
	limit := time.NewTimer(b.limit)
	defer limit.Stop()
	select {
	case <-b.open:
		return b.want, b.err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-limit.C:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.open:
	default:
		b.err = fmt.Errorf("the barrier waits for %d calls, and saw %d inside it", b.want, b.inside)
		close(b.open)
	}
	return 0, b.err
}

// complete asks the kernel whether the process has all the threads that its sessions claim to be on. All of them are inside the barrier.
func (b *barrier) complete() error {
	if len(b.threads) != b.want {
		return fmt.Errorf("%d calls are inside the barrier on %d threads", b.inside, len(b.threads))
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	found := 0
	for _, task := range tasks {
		var id int
		if _, err := fmt.Sscanf(task.Name(), "%d", &id); err == nil && b.threads[id] {
			found++
		}
	}
	if found != b.want {
		return fmt.Errorf("the kernel knows %d of %d threads", found, b.want)
	}
	return nil
}
