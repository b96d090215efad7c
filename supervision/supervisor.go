package supervision

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/supervision/restart"
)

// phase is where a supervisor is in its life.
//
//	                                        a child is started again, and others with it
//	starting --all children up--> running <-----> regrouping
//	   |                             |                |
//	   | a start failed              | Stop, intensity exceeded, or AutoShutdown
//	   v                             v                v
//	 closing <-----------------------+----------------+
//
//	protoactor's own Stop makes it broken, from anywhere.
type phase uint8

const (
	starting phase = iota
	running
	regrouping // all-for-one and rest-for-one: stops siblings, then starts all of them
	closing    // stops its children one after the other
	broken     // protoactor has told all children to stop
)

// supervisor is the actor. All fields but port belong to its goroutine, which
// holds mu while it handles a message: who holds mu may look.
type supervisor struct {
	mu sync.Mutex

	spec   Spec
	port   *port
	parent *port   // hears of extensions; nil for a supervisor embedded elsewhere
	report *report // shared by the whole tree
	guard  *guard  // its own
	onEnd  func()  // root only: the supervisor is gone

	system *actor.ActorSystem
	self   *actor.PID
	proc   actor.Process // itself, to reach its system queue
	prefix string        // of its children's names

	phase   phase
	verdict Reason // why it is closing
	next    int    // starting: index of the next static child
	early   []func(actor.Context)

	seq      uint64 // of incarnations: makes their names unique
	name     []byte // scratch
	produced actor.Actor
	swarm    *actor.Props // of small temporary children, shared

	temps    map[string]*guard // small temporary children
	children map[string]*child // all others
	order    []*child          // the same in start order
	stops    map[string]*stopping
	swarmBy  time.Time // closing, regrouping: common deadline of temps; zero else
	due      time.Time // regrouping: not started before
	pause    bool      // regrouping: all have stopped, due is awaited
	acks     map[string]func(*Started)
	watchers map[string][]*actor.PID
	failures map[string]any // by PID: panics outside of a guard
	ledger   restart.Ledger
	alarm    alarm
}

func newSupervisor(spec Spec) *supervisor {
	return &supervisor{
		spec:     spec,
		port:     newPort(nil),
		report:   &report{},
		temps:    map[string]*guard{},
		children: map[string]*child{},
		stops:    map[string]*stopping{},
		acks:     map[string]func(*Started){},
		watchers: map[string][]*actor.PID{},
		failures: map[string]any{},
	}
}

// Props returns the props of a supervisor, for an actor that is not a
// supervisor of this package but wants to own one. Panics if spec is invalid.
// Such a supervisor's end reaches its parent as protoactor's Terminated only.
func Props(spec Spec) *actor.Props {
	if err := spec.Validate(); err != nil {
		panic(err)
	}
	return actor.PropsFromProducer(func() actor.Actor {
		return (&guard{inner: newSupervisor(spec)}).actor()
	}, spec.Options...)
}

// Supervisor returns the spec of a child that is itself a supervisor. It is
// permanent; its start is complete when all its children have started.
func Supervisor(id string, spec Spec) ChildSpec {
	return ChildSpec{ID: id, Start: func() actor.Actor { return newSupervisor(spec) }, nested: &spec}
}

// Receive implements actor.Actor.
func (s *supervisor) Receive(ctx actor.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.begin(ctx)
	case *StartTemporary:
		s.startTemporary(ctx, m, answerer[*Started](ctx, m.ReplyTo))
		return // sets no deadline, so the alarm can stay as it is
	case *actor.Terminated:
		s.terminated(ctx, m)
	case *actor.Stopping:
		s.interrupted(ctx)
	case *actor.Stopped:
		s.ended()
		return
	default:
		s.request(ctx, m, ctx)
	}
	s.setAlarm()
}

// wake is what makes a supervisor look at its port. It travels through the
// system queue, where nothing is refused and no user message is ahead of it,
// in the only shape of a system message that protoactor passes on.
var wake = &actor.Terminated{Who: &actor.PID{Id: "supervision/wake"}}

func (s *supervisor) begin(ctx actor.Context) {
	s.system, s.self, s.guard = ctx.ActorSystem(), ctx.Self(), guardOf(ctx)
	s.prefix = s.self.Id + "/"
	s.spec.fill(s.system)
	s.ledger = restart.NewLedger(s.spec.Intensity)
	s.swarm = actor.PropsFromProducer(s.produce, s.spec.ChildOptions...)
	proc, ok := s.system.ProcessRegistry.Get(s.self)
	if !ok {
		panic(fmt.Sprintf("supervision: %s runs but is not registered", s.self.Id))
	}
	s.proc = proc
	s.port.bind(func() { proc.SendSystemMessage(ctx.Self(), wake) })
	s.startNext(ctx)
}

func (s *supervisor) terminated(ctx actor.Context, m *actor.Terminated) {
	if m == wake {
		for _, item := range s.port.take() {
			s.internal(ctx, item)
		}
		return
	}
	// Everything else that does not name a living incarnation is ignored: a
	// second Terminated (protoactor sends two to a parent that watches), and
	// the late one of a child that was abandoned.
	g := s.alive(m.Who)
	if g == nil {
		return
	}
	id := s.idOf(m.Who.Id)
	if c := s.children[id]; c != nil {
		s.gone(ctx, c, s.reasonOf(id, g))
	} else {
		s.tempGone(ctx, id, g, s.reasonOf(id, g))
	}
}

func (s *supervisor) internal(ctx actor.Context, item any) {
	switch m := item.(type) {
	case tick:
		s.alarm.fired()
		s.onTick(ctx)
	case up:
		s.onUp(ctx, m.guard)
	case hung:
		s.onHung(ctx, m)
	case extend:
		s.onExtend(m)
	case ask:
		s.request(ctx, m.message, m)
	case *Stop:
		s.shut(ctx, Shutdown{})
	default:
		panic(fmt.Sprintf("supervision: unknown internal message %T", item))
	}
}

// idOf cuts a child's ID out of its PID's name, sharing its bytes.
func (s *supervisor) idOf(path string) string {
	name, ok := strings.CutPrefix(path, s.prefix)
	dash := strings.LastIndexByte(name, '-')
	if !ok || dash < 0 {
		return ""
	}
	return name[:dash]
}

// askStop makes the supervisor stop in order; it may be called from anywhere.
func (s *supervisor) askStop() { s.port.post(&Stop{}) }
