package machine

import "fmt"

// Call is one visit of a request at a stage. The host makes it, and tells the machine what came of it under its number.
type Call struct {
	No    int
	Stage string
	Hop   int   // how many visits there were before it, on all branches
	From  []int // numbers of the calls whose bodies it gets: one, or, where branches are joined, one per branch; none: the request's own body
}

// Verdict is what a stage's answer wants.
type Verdict uint8

// The verdicts of stages.
const (
	Reply Verdict = iota // the client is answered, from whatever stage
	Next                 // the next stage of the route has it
	To                   // the named ones have it
)

// Answer is what a stage said.
type Answer struct {
	Verdict Verdict
	To      []string // with To: one stage, or several at once
	Join    string   // with several: the stage that gets what they all pass on; empty: the next one of the route
}

// Fault is why a request cannot go on.
type Fault uint8

// The faults.
const (
	NoFault      Fault = iota
	NoNext             // the last stage of the route passed the request on
	UnknownStage       // a stage was named that there is not
	Cycle              // the request has made more hops than it may
	BadFan             // several stages, one of them twice, or too many of them
)

var faultNames = [...]string{"none", "no-next-stage", "unknown-stage", "cycle", "bad-fan-out"}

// String returns the fault in one word.
func (f Fault) String() string { return faultNames[f] }

// Effect is what the host has to do: make Calls, or answer the client with what call Answer said, or fail. After Answer or a Fault the request is over: what is under
// way is to be cancelled.
type Effect struct {
	Calls  []Call
	Over   bool
	Answer int // number of the call whose answer the client gets
	Fault  Fault
	Text   string // of the fault
}

// Limits bound a request.
type Limits struct {
	Hops int // visits on all branches together
	Fan  int // branches of one fan-out
}

// Request is the machine of one request.
type Request struct {
	route   []string
	known   func(stage string) bool
	limits  Limits
	calls   map[int]*visit
	numbers int
	over    bool
}

// visit is a call under way.
type visit struct {
	at    int // of the route: the stage, or the last one of it that was left
	group *group
	index int // of the branch
}

// group is a fan-out that waits for its branches.
type group struct {
	at     int // of the route, where it began
	join   string
	bodies []int // number of the call that has passed each branch's body on; 0: not yet
	left   int
	group  *group // that it is a branch of
	index  int
}

// New begins a request. known says which stages there are.
func New(route []string, known func(string) bool, l Limits) *Request {
	return &Request{route: route, known: known, limits: l, calls: make(map[int]*visit, 1)}
}

// Begin sends the request to the first stage of its route.
func (r *Request) Begin() Effect { return r.visit(r.route[0], &visit{at: 0}) }

// Under returns how many calls are under way.
func (r *Request) Under() int { return len(r.calls) }

// visit makes a call.
func (r *Request) visit(stage string, v *visit, from ...int) Effect {
	if !r.known(stage) {
		return r.fail(UnknownStage, fmt.Sprintf("there is no stage %q", stage))
	}
	if r.numbers >= r.limits.Hops {
		return r.fail(Cycle, fmt.Sprintf("the request has made %d hops, the limit is %d, and was to go to %q again", r.numbers, r.limits.Hops, stage))
	}
	r.numbers++
	r.calls[r.numbers] = v
	return Effect{Calls: []Call{{No: r.numbers, Stage: stage, Hop: r.numbers - 1, From: from}}}
}

func (r *Request) fail(f Fault, text string) Effect {
	r.over = true
	return Effect{Over: true, Fault: f, Text: text}
}

// Answered takes the answer to a call. One that is not under way, or of a request that is over, does nothing.
func (r *Request) Answered(no int, a Answer) Effect {
	v := r.calls[no]
	if v == nil || r.over {
		return Effect{}
	}
	delete(r.calls, no)
	switch {
	case a.Verdict == Reply:
		r.over = true
		return Effect{Over: true, Answer: no}
	case a.Verdict == Next && v.group != nil:
		return r.joined(no, v.group, v.index)
	case a.Verdict == Next:
		return r.next(v.at, nil, 0, no)
	case len(a.To) == 1:
		return r.visit(a.To[0], &visit{at: r.place(a.To[0], v), group: v.group, index: v.index}, no)
	}
	return r.fan(no, v, a)
}

// place is where a stage stands in the route; one that is not of it leaves the request where it was. A branch has no place in the route.
func (r *Request) place(stage string, v *visit) int {
	if v.group != nil {
		return v.at
	}
	for i, s := range r.route {
		if s == stage {
			return i
		}
	}
	return v.at
}

// next goes on behind a place of the route.
func (r *Request) next(at int, g *group, index int, from ...int) Effect {
	if at+1 >= len(r.route) {
		return r.fail(NoNext, fmt.Sprintf("%q is the last stage of the route, and has passed the request on: it is to answer", r.route[at]))
	}
	return r.visit(r.route[at+1], &visit{at: at + 1, group: g, index: index}, from...)
}

// fan sends the request to several stages at once.
func (r *Request) fan(no int, v *visit, a Answer) Effect {
	if n := len(a.To); n == 0 || n > r.limits.Fan {
		return r.fail(BadFan, fmt.Sprintf("%d stages are named at once: from 1 to %d are possible", n, r.limits.Fan))
	}
	if a.Join != "" && !r.known(a.Join) {
		return r.fail(UnknownStage, fmt.Sprintf("there is no stage %q to join at", a.Join))
	}
	g := &group{at: v.at, join: a.Join, bodies: make([]int, len(a.To)), left: len(a.To), group: v.group, index: v.index}
	all := Effect{}
	for i, stage := range a.To {
		e := r.visit(stage, &visit{at: v.at, group: g, index: i}, no)
		if e.Over {
			return e
		}
		all.Calls = append(all.Calls, e.Calls...)
	}
	return all
}

// joined takes what a branch passes on: the last one lets the request go on.
func (r *Request) joined(no int, g *group, index int) Effect {
	g.bodies[index] = no
	if g.left--; g.left > 0 {
		return Effect{}
	}
	if g.join != "" {
		v := &visit{at: g.at, group: g.group, index: g.index}
		v.at = r.place(g.join, v)
		return r.visit(g.join, v, g.bodies...)
	}
	if g.group != nil {
		return r.fail(NoNext, "branches within a branch passed the request on, and no stage was named to join at")
	}
	return r.next(g.at, nil, 0, g.bodies...)
}
