package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/test/harness"
)

// fault is one that was injected.
type fault struct {
	kind     string
	part     string // worker, client or broker
	link     string // the broker at the other end, where it is a link's fault
	from, to time.Duration
	verdicts []heard // those that were due and came
	unheard  bool    // its call has ended, and nothing was said
}

type heard struct {
	is    string
	after time.Duration
}

// begin notes a fault.
func (w *world) begin(kind, part, link string) *fault {
	f := &fault{kind: kind, part: part, link: link, from: w.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, f)
	w.Note(harness.Fault, part, "%s %s", kind, link)
	return f
}

func (w *world) end(f *fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f.to = w.Now()
	w.Note(harness.Mended, f.part, "%s %s is over", f.kind, f.link)
}

// due is how long a verdict is waited for: a safety net.
const due = harness.Patience

// verdict waits until the broker has said something bad of the part since the fault began, unless the broker itself is disturbed.
func (w *world) verdict(f *fault, b *broker) {
	number, limit := 0, time.NewTimer(due)
	defer limit.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for b.well(f.from) {
		events, more := w.Since(number)
		for _, e := range events {
			if v := e.Verdict; v != nil && v.At >= f.from && v.By == b.name && v.About(f.part) {
				w.mu.Lock()
				f.verdicts = append(f.verdicts, heard{v.Is, v.At - f.from})
				w.mu.Unlock()
				return
			}
		}
		number += len(events)
		select {
		case <-more:
		case <-look.C: // is the broker still well?
		case <-limit.C:
			w.blame("verdict", "%s of %s at %v: broker %s has said nothing", f.kind, f.part, f.from, b.name)
			return
		}
	}
}

// registered waits until every broker that is well knows the worker, and returns those.
func (w *world) registered(ctx context.Context, p *part) []*broker {
	var known []*broker
	limit, cancel := context.WithTimeout(ctx, due)
	defer cancel()
	for _, b := range w.brokers {
		since := w.Now()
		there := false
		poll(limit, func() bool {
			there = b.knows(ctx, p)
			return there || !b.well(since)
		})
		switch {
		case there:
			known = append(known, b)
		case b.well(since) && ctx.Err() == nil:
			w.blame("verdict", "worker %s has not come back to broker %s", p.name, b.name)
		}
	}
	return known
}

// those are the brokers that were well when the fault began.
func those(known []*broker, f *fault, link string) []*broker {
	return slices.DeleteFunc(slices.Clone(known), func(b *broker) bool { return !b.well(f.from) || link != "" && b.name != link })
}

// workerKinds are the faults of workers and their links.
var workerKinds = []harness.Choice{
	{Kind: "kill-worker", Weight: 3},
	{Kind: "freeze-worker", Weight: 2, Most: 500 * time.Millisecond},
	{Kind: "pause-worker", Weight: 2, Least: 10 * time.Millisecond, Most: 300 * time.Millisecond},
	{Kind: "cut-worker-link", Weight: 3},
	{Kind: "silence-worker-link", Weight: 2, Most: 300 * time.Millisecond},
	{Kind: "pause-worker-link", Weight: 2, Least: 10 * time.Millisecond, Most: 300 * time.Millisecond},
	{Kind: "delay-worker-link", Weight: 2, Least: 20 * time.Millisecond, Most: 80 * time.Millisecond},
}

// workerLane injects faults to one worker, one after another, until ctx ends.
func (w *world) workerLane(ctx context.Context, number int, p *part) {
	for i, step := range w.schedule(uint64(100+number), workerKinds) {
		w.rest(ctx, step.After)
		known := w.registered(ctx, p)
		if ctx.Err() != nil {
			return
		}
		if len(known) > 0 && (w.form.OnlyWorkers == "" || w.form.OnlyWorkers == step.Kind) {
			w.workerFault(ctx, p, step, known, w.brokers[i%len(w.brokers)].name)
		}
	}
}

// schedule is a lane's: long enough for any run. Kinds come as often as their weights say, in random order.
func (w *world) schedule(lane uint64, kinds []harness.Choice) []harness.Step {
	return harness.Schedule(w.seed+lane<<32, 20_000, 300*time.Millisecond, kinds...)
}

func (w *world) rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (w *world) workerFault(ctx context.Context, p *part, step harness.Step, known []*broker, at string) {
	link := ""
	if step.Kind[len(step.Kind)-4:] == "link" {
		link = at
	}
	f := w.begin(step.Kind, p.name, link)
	judges := those(known, f, link)
	verdicts := func() {
		for _, b := range judges {
			w.verdict(f, b)
		}
	}
	switch step.Kind {
	case "kill-worker":
		p.proc.Process.Kill()
		verdicts()
		p.proc = p.start()
	case "freeze-worker":
		w.try(p.proc.Process.Freeze(context.Background()))
		verdicts()
		w.rest(ctx, w.form.Silence+step.For) // its clients have been told by then
		w.try(p.proc.Process.Thaw())
	case "pause-worker":
		w.try(p.proc.Process.Freeze(context.Background()))
		w.rest(ctx, step.For)
		w.try(p.proc.Process.Thaw())
	case "cut-worker-link":
		p.links[link].Cut()
		verdicts()
	case "silence-worker-link":
		p.links[link].Silence()
		verdicts()
		w.rest(ctx, step.For)
		p.links[link].Heal()
	case "pause-worker-link":
		p.links[link].Silence()
		w.rest(ctx, step.For)
		p.links[link].Heal()
	case "delay-worker-link":
		p.links[link].Delay(step.For)
		w.rest(ctx, 4*step.For)
		p.links[link].Delay(0)
	}
	w.registered(ctx, p)
	w.end(f)
}

func (w *world) try(err error) {
	if err != nil {
		w.mu.Lock()
		gone := w.gone
		w.mu.Unlock()
		if !gone {
			w.blame("wrong", "a fault could not be injected: %v", err)
		}
	}
}

var brokerKinds = []harness.Choice{
	{Kind: "kill-broker", Weight: 1},
	{Kind: "freeze-broker", Weight: 1, Most: 200 * time.Millisecond},
	{Kind: "pause-broker", Weight: 1, Least: 10 * time.Millisecond, Most: 200 * time.Millisecond},
}

// brokerLane injects faults to the brokers, one after another.
func (w *world) brokerLane(ctx context.Context) {
	for i, step := range w.schedule(200, brokerKinds) {
		w.rest(ctx, step.After)
		if ctx.Err() != nil {
			return
		}
		w.brokerFault(ctx, w.brokers[i%len(w.brokers)], step)
	}
}

func (w *world) brokerFault(ctx context.Context, b *broker, step harness.Step) {
	f := w.begin(step.Kind, b.name, "")
	// The client that looks on says that its broker is gone.
	verdict := func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), due)
		defer cancel()
		if !poll(limit, func() bool { return b.look.Registered() == 0 }) {
			w.blame("verdict", "%s of %s at %v: its client has not noticed", f.kind, b.name, f.from)
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		f.verdicts = append(f.verdicts, heard{"broker GONE", w.Now() - f.from})
	}
	if step.Kind != "pause-broker" {
		b.disturb(true)
		defer b.disturb(false)
	}
	switch step.Kind {
	case "kill-broker":
		b.proc.Process.Kill()
		verdict()
		b.start()
	case "freeze-broker":
		w.try(b.proc.Process.Freeze(context.Background()))
		verdict()
		w.rest(ctx, step.For)
		w.try(b.proc.Process.Thaw())
	default:
		w.try(b.proc.Process.Freeze(context.Background()))
		w.rest(ctx, step.For)
		w.try(b.proc.Process.Thaw())
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), due)
	defer cancel()
	if err := b.look.Ready(limit); err != nil {
		w.blame("verdict", "the client of broker %s has not come back: %v", b.name, err)
	}
	w.end(f)
}

var clientKinds = []harness.Choice{
	{Kind: "kill-client", Weight: 2},
	{Kind: "freeze-client", Weight: 2, Most: 300 * time.Millisecond},
	{Kind: "cut-client-link", Weight: 2},
	{Kind: "silence-client-link", Weight: 2, Most: 300 * time.Millisecond},
}

// clientLane injects faults to one client process.
func (w *world) clientLane(ctx context.Context, number int, p *part) {
	for i, step := range w.schedule(uint64(300+number), clientKinds) {
		w.rest(ctx, step.After)
		b := w.brokers[i%len(w.brokers)]
		since, anchor := w.Now(), ""
		limit, cancel := context.WithTimeout(ctx, due)
		poll(limit, func() bool {
			anchor, _ = b.anchorOf(ctx, p)
			return anchor != "" || !b.well(since)
		})
		cancel()
		if ctx.Err() != nil {
			return
		}
		if anchor != "" {
			w.clientFault(ctx, p, step, b)
		} else if b.well(since) {
			w.blame("verdict", "client %s has not come back to broker %s", p.name, b.name)
		}
	}
}

func (w *world) clientFault(ctx context.Context, p *part, step harness.Step, b *broker) {
	link := ""
	if step.Kind[len(step.Kind)-4:] == "link" {
		link = b.name
	}
	f := w.begin(step.Kind, p.name, link)
	switch step.Kind {
	case "kill-client":
		w.mu.Lock()
		w.cut = append(w.cut, fmt.Sprintf("%s-%d-", p.name, p.proc.PID()))
		w.mu.Unlock()
		p.proc.Process.Kill()
		w.verdict(f, b)
		p.killed++
		p.proc = p.start()
	case "freeze-client":
		w.try(p.proc.Process.Freeze(context.Background()))
		w.verdict(f, b)
		w.rest(ctx, step.For)
		w.try(p.proc.Process.Thaw())
	case "cut-client-link":
		p.links[link].Cut()
		w.verdict(f, b)
	case "silence-client-link":
		p.links[link].Silence()
		w.verdict(f, b)
		w.rest(ctx, step.For)
		p.links[link].Heal()
	}
	w.end(f)
}

// hostLane starves everybody now and then.
func (w *world) hostLane(ctx context.Context) {
	chance := harness.Chance(w.seed, 400)
	for {
		w.rest(ctx, time.Duration(500+chance.IntN(3000))*time.Millisecond)
		if ctx.Err() != nil {
			return
		}
		f := w.begin("starve", "host", "")
		s := harness.Starve(w.t, 1)
		w.rest(ctx, time.Duration(200+chance.IntN(600))*time.Millisecond)
		s.End()
		w.end(f)
	}
}

// lateness watches this process, which carries all links: where it stands still itself, they are silent.
func (w *world) lateness(ctx context.Context) {
	const every = 50 * time.Millisecond
	look := time.NewTicker(every)
	defer look.Stop()
	for last := w.Now(); ; {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		now := w.Now()
		if now-last > w.form.Silence/5+every {
			f := w.begin("slow-links", "links", "")
			f.from = last
			w.end(f)
		}
		last = now
	}
}
