package butterfly

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/patterns/butterfly/machine"
)

// route is the handler of a pattern.
type route struct {
	front *Front
	Route
	wildcards []string
}

// exchange is a request and its response.
type exchange struct {
	front  *Front
	out    *writer
	in     *http.Request
	began  time.Time
	trace  string
	route  *route
	branch string   // the stage that answered, for the log
	allow  string   // methods, where the one asked for is not among them
	broken *Problem // why the response is not whole

	mu      sync.Mutex
	cookies []*http.Cookie // to be set
}

// ServeHTTP leads a request through the stages of the route.
func (r *route) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	out, ok := w.(*writer)
	if !ok {
		panic("butterfly: a route without its exchange")
	}
	x := out.exchange
	out.held = nil
	x.route, x.in = r, in
	limit := r.Timeout
	if limit == 0 {
		limit = r.front.cfg.Timeout
	}
	ctx, cancel := in.Context(), context.CancelFunc(nil)
	if limit < 0 {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithTimeout(ctx, limit)
	}
	r.front.enter(x, cancel)
	defer r.front.leave(x)
	r.serve(ctx, cancel, x)
}

// visited is what a stage has answered.
type visited struct {
	call    machine.Call
	verdict verdictHead
	answer  machine.Answer
	body    payload
	problem *Problem
}

// serve runs the machine of a request: while one stage alone has it, on this goroutine.
func (r *route) serve(ctx context.Context, cancel context.CancelFunc, x *exchange) {
	p := &parade{exchange: x, done: make(map[int]*visited, 1)}
	defer p.end(cancel)
	first, problem := x.body(r.front.stages[r.Stages[0]])
	if problem != nil {
		x.fail(problem)
		return
	}
	m := machine.New(r.Stages, func(s string) bool { return r.front.stages[s] != nil }, machine.Limits{Hops: r.front.cfg.MaxHops, Fan: r.front.cfg.MaxFan})
	p.first = first
	for e := m.Begin(); ; {
		v := p.visit(ctx, e.Calls)
		if v.problem != nil {
			x.fail(v.problem)
			return
		}
		p.done[v.call.No] = v
		switch e = m.Answered(v.call.No, v.answer); {
		case e.Fault != machine.NoFault:
			x.fail(&Problem{Status: faultStatus(e.Fault), Stage: v.call.Stage, Verdict: e.Fault.String(), Detail: e.Text})
			return
		case e.Over:
			x.reply(ctx, p.done[e.Answer])
			return
		}
	}
}

// parade is what a request has under way.
type parade struct {
	*exchange
	first   payload
	done    map[int]*visited
	came    chan *visited
	running int // on goroutines of their own
}

// visit makes calls, and returns the next answer of those under way.
func (p *parade) visit(ctx context.Context, calls []machine.Call) *visited {
	if p.running == 0 && len(calls) == 1 {
		c := calls[0]
		in, problem := p.input(c, 1)
		if problem != nil {
			return &visited{call: c, problem: problem}
		}
		return p.exchange.visit(ctx, c, in)
	}
	if p.came == nil {
		p.came = make(chan *visited, p.front.cfg.MaxHops)
	}
	for _, c := range calls {
		in, problem := p.input(c, len(calls))
		if problem != nil {
			return &visited{call: c, problem: problem}
		}
		p.running++
		go func() { p.came <- p.exchange.visit(ctx, c, in) }()
	}
	v := <-p.came
	p.running--
	return v
}

// input is what a call is made with. What several calls get is read into memory first.
func (p *parade) input(c machine.Call, shared int) (input, *Problem) {
	if len(c.From) == 0 {
		return input{payload: p.first}, nil
	}
	var in input
	for _, no := range c.From {
		v := p.done[no]
		if v.body.rest != nil && (shared > 1 || len(c.From) > 1 || !p.front.stages[c.Stage].Stream) {
			if err := v.body.collect(p.front.cfg.MaxBody); err != nil {
				return in, problemOf(v.call.Stage, err)
			}
		}
		in.frames = append(in.frames, v.body.frames...)
		in.rest, in.size = v.body.rest, v.body.size
		v.body.rest = nil // it is the call's now
		in.from = append(in.from, v.call.Stage)
		in.data = append(in.data, v.verdict.Data)
	}
	return in, nil
}

// end cancels what is under way, and waits for it: no goroutine outlives its request.
func (p *parade) end(cancel func()) {
	cancel()
	for ; p.running > 0; p.running-- {
		(<-p.came).body.drop()
	}
	for _, v := range p.done {
		v.body.drop()
	}
}

func faultStatus(f machine.Fault) int {
	if f == machine.Cycle {
		return http.StatusLoopDetected
	}
	return http.StatusBadGateway
}
