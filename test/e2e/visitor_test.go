package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// visitor is one client that does random things, and the hits it has open.
type visitor struct {
	f      *fair
	id     uint64
	chance *rand.Rand
	client *assigner.Client
	hits   []*stall
	bodies int
}

// stall is an open hit and how many of its calls have run, as far as its replies tell.
type stall struct {
	hit *assigner.Hit
	ran int
}

func newVisitor(f *fair, id uint64, chance *rand.Rand) *visitor {
	return &visitor{f: f, id: id, chance: chance, client: f.site.Client()}
}

// stroll does n random things, then closes its hits.
func (v *visitor) stroll(ctx context.Context, n int) {
	if err := v.client.Ready(ctx); err != nil {
		v.f.blame("come: %v", err)
	}
	things := []func(context.Context){v.open, v.call, v.call, v.call, v.burst, v.close, v.do, v.impatient, v.kill, v.leave}
	for range n {
		things[v.chance.IntN(len(things))](ctx)
		v.f.done.Add(1)
	}
	for len(v.hits) > 0 {
		v.close(ctx)
	}
}

// body is a call's, unlike any other.
func (v *visitor) body() string {
	v.bodies++
	return fmt.Sprintf("%d-%d", v.id, v.bodies)
}

// patience bounds what waits for a slot: all slots may be held by visitors who wait for one more.
func (v *visitor) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(1+v.chance.IntN(100))*time.Millisecond)
}

func (v *visitor) open(ctx context.Context) {
	if len(v.hits) == 3 {
		return
	}
	ctx, cancel := v.patience(ctx)
	defer cancel()
	h, err := v.client.Open(ctx, "count")
	if err != nil {
		v.f.typed("open", err)
		return
	}
	v.hits = append(v.hits, &stall{hit: h})
}

// pick returns one of the open hits, nil if there is none.
func (v *visitor) pick() *stall {
	if len(v.hits) == 0 {
		return nil
	}
	return v.hits[v.chance.IntN(len(v.hits))]
}

func (v *visitor) call(ctx context.Context) {
	if s := v.pick(); s != nil {
		v.take(s, v.say(ctx, s, v.body()))
	}
}

// say makes a call and returns how many calls of the hit had run with it, 0 if it failed.
func (v *visitor) say(ctx context.Context, s *stall, body string) int {
	reply, err := s.hit.Call(ctx, []byte(body))
	v.f.note(body, err)
	if err != nil {
		return 0
	}
	echoed, count, _ := strings.Cut(string(reply), " ")
	n, bad := strconv.Atoi(count)
	if echoed != body || bad != nil {
		v.f.blame("hit %x: asked %s, got %q", s.hit.Handle(), body, reply)
	}
	return n
}

// take requires that calls run in order.
func (v *visitor) take(s *stall, n int) {
	if n == 0 {
		return
	}
	if n <= s.ran {
		v.f.blame("hit %x: call number %d ran after number %d", s.hit.Handle(), n, s.ran)
	}
	s.ran = n
}

// burst makes several calls at once, more than are allowed at times.
func (v *visitor) burst(ctx context.Context) {
	s := v.pick()
	if s == nil {
		return
	}
	n := 1 + v.chance.IntN(8)
	ran := make(map[int]bool)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range n {
		body := v.body()
		wg.Go(func() {
			k := v.say(ctx, s, body)
			mu.Lock()
			defer mu.Unlock()
			if k > 0 && (ran[k] || k <= s.ran) {
				v.f.blame("hit %x: two calls have the number %d", s.hit.Handle(), k)
			}
			ran[k] = true
		})
	}
	wg.Wait()
	for k := range ran {
		s.ran = max(s.ran, k)
	}
}

// impatient makes a call and gives it up at some moment.
func (v *visitor) impatient(ctx context.Context) {
	s := v.pick()
	if s == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if v.chance.IntN(2) == 0 {
		go cancel()
	} else {
		time.AfterFunc(time.Duration(v.chance.IntN(2000))*time.Microsecond, cancel)
	}
	v.take(s, v.say(ctx, s, v.body()))
}

func (v *visitor) do(ctx context.Context) {
	ctx, cancel := v.patience(ctx)
	defer cancel()
	body := v.body()
	reply, err := v.client.Do(ctx, "count", []byte(body))
	v.f.note(body, err)
	if err == nil && string(reply) != body+" 1" {
		v.f.blame("one-shot %s: got %q", body, reply)
	}
}

func (v *visitor) close(ctx context.Context) {
	s := v.pick()
	if s == nil {
		return
	}
	if err := s.hit.Close(ctx); err != nil {
		v.f.typed("close", err)
	}
	v.drop(s)
}

func (v *visitor) drop(s *stall) {
	for i, o := range v.hits {
		if o == s {
			v.hits = append(v.hits[:i], v.hits[i+1:]...)
			return
		}
	}
}

// kill has an operator end one of the hits, now and then.
func (v *visitor) kill(ctx context.Context) {
	s := v.pick()
	if s == nil || v.chance.IntN(4) > 0 {
		return
	}
	if _, err := v.client.Admin(ctx, machine.AdminRequest{Cmd: "hit.kill", Hit: fmt.Sprintf("%x", s.hit.Handle()), By: "chance"}); err != nil {
		v.f.blame("kill: %v", err)
	}
}

// leave closes the client with all that is open, now and then, and comes back as another one.
func (v *visitor) leave(ctx context.Context) {
	if v.chance.IntN(8) > 0 {
		return
	}
	if err := v.client.Close(ctx); err != nil {
		v.f.blame("leave: %v", err)
	}
	v.hits = nil
	v.client = v.f.site.Client()
	if err := v.client.Ready(ctx); err != nil {
		v.f.blame("come back: %v", err)
	}
}
