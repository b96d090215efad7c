package machine_test

import (
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// step lets one actor handle one event, as the actors of package actors do. It reports whether there was one.
func (s *stage) step(n *node) bool {
	if !n.up {
		s.start(n)
		return true
	}
	if len(n.box) == 0 {
		return false
	}
	event := n.box[0]
	n.box = n.box[1:]
	switch {
	case n.hit != nil:
		s.hit(n, event)
	case n.worker != nil:
		s.worker(n, event)
	default:
		s.atBroker(event)
	}
	return true
}

// start is the actor's first turn.
func (s *stage) start(n *node) {
	n.up = true
	if n.worker == nil {
		return
	}
	l := s.link(n.worker.Peer)
	if l.gone {
		n.box = append(n.box, &wire.PeerGone{Peer: l.ref, Detector: "closed", Detail: "its connection was lost before it was attached"})
		return
	}
	l.attached = n
}

func (s *stage) hit(n *node, event any) {
	h := n.hit
	switch e := event.(type) {
	case *wire.Message:
		s.effects(n, h.Message(s.now, e, nil))
	case *begin:
		s.effects(n, h.Begin(s.now, e.msg, e.arg, nil))
	case *machine.Lost:
		s.effects(n, h.Lose(s.now, e, nil))
	case *machine.LeaseOver:
		s.effects(n, h.Judge(s.now, nil))
	case *machine.Stuck:
		s.effects(n, h.Overdue(s.now, e, nil))
	case *machine.Moved:
		s.onMove(h, e.Worker)
		s.effects(n, h.Moved(s.now, e, nil))
	case *machine.Unmoved:
		s.effects(n, h.Unmoved(s.now, nil))
	case *machine.Kill:
		s.effects(n, h.Kill(s.now, e, nil))
	default:
		require.FailNow(s.t, "not an event of a hit", "%T", event)
	}
}

func (s *stage) worker(n *node, event any) {
	switch e := event.(type) {
	case *wire.Message:
		s.effects(n, n.worker.Message(s.now, e, nil))
	case *machine.Challenge:
		s.effects(n, n.worker.Challenge(s.now, e, nil))
	case *wire.PeerGone:
		s.effects(n, n.worker.Lose(s.now, e, nil))
	default:
		require.FailNow(s.t, "not an event of a worker", "%T", event)
	}
}

func (s *stage) atBroker(event any) {
	b := s.broker
	switch e := event.(type) {
	case *wire.Message:
		s.effects(s.home, b.Message(s.now, e, nil))
	case *hitOver:
		s.effects(s.home, b.Ended(s.now, e.hit, e.status, nil))
	case *report:
		s.effects(s.home, b.Report(s.now, e.event, nil))
		s.dismiss(e.event)
	case *retell:
		s.tell(e.hit, e.event)
	case *asked:
		s.ask(e.worker, e.event)
	case *wire.PeerGone:
		s.effects(s.home, b.Lose(s.now, e, nil))
	case *crashed:
		if e.node.hit != nil {
			s.effects(s.home, b.Crashed(s.now, e.node.hit.Handle, "a test's fault", nil))
		} else {
			s.effects(s.home, b.WorkerCrashed(s.now, e.node.worker, "a test's fault", nil))
		}
	default:
		require.FailNow(s.t, "not an event of a broker", "%T", event)
	}
}

func (s *stage) dismiss(event any) {
	var n *node
	switch e := event.(type) {
	case *machine.WorkerDown:
		n = s.workerNode(e.Worker)
	case *machine.Yielded:
		n = s.workerNode(e.Worker)
	}
	if n != nil {
		s.remove(n)
	}
}

func (s *stage) tell(h *machine.Hit, event any) {
	if n := s.find(h.Handle); n != nil {
		n.box = append(n.box, event)
	} else if h.State != machine.Ended {
		s.home.box = append(s.home.box, &retell{h, event})
	} else if m, ok := event.(*wire.Message); ok && m.Header.Type == wire.Resume {
		s.home.box = append(s.home.box, m)
	}
}

func (s *stage) ask(w *machine.Worker, event any) {
	n := s.workerNode(w)
	switch {
	case n == nil:
	case n.up:
		n.box = append(n.box, event)
	default:
		s.home.box = append(s.home.box, &asked{w, event})
	}
}

// effects carries out what a machine wants.
func (s *stage) effects(n *node, fx []machine.Effect) {
	for i := 0; i < len(fx); i++ {
		switch e := &fx[i]; e.Kind {
		case machine.Send:
			frames := e.Frames[:]
			for len(frames) > 0 && frames[len(frames)-1] == nil {
				frames = frames[:len(frames)-1]
			}
			_ = s.forward(e.To, e.Header, frames)
		case machine.Count:
			if e.Status < wire.Statuses {
				s.counts[e.Status]++
			}
		case machine.Forward:
			if e.Header.Type == wire.Call && e.To != n.hit.Worker {
				continue
			}
			if err := s.forward(e.To, e.Header, e.Msg.Body); err != nil {
				fx = s.undelivered(n, e, err, fx)
			}
		case machine.Over:
			s.remove(n)
			for _, event := range n.box {
				if m, ok := event.(*wire.Message); ok {
					s.home.box = append(s.home.box, m)
				}
			}
			s.home.box = append(s.home.box, &hitOver{e.Hit, e.Status})
		default:
			s.rare(e)
		}
	}
}

func (s *stage) rare(e *machine.Effect) {
	switch e.Kind {
	case machine.Spawn:
		s.onSpawn(e.Hit, e.Msg)
		s.nodes = append(s.nodes, &node{hit: e.Hit, box: []any{&begin{e.Msg, e.Header.Arg}}})
	case machine.Enroll:
		s.nodes = append(s.nodes, &node{worker: e.Worker})
	case machine.Tell:
		s.tell(e.Hit, e.Event)
	case machine.Ask:
		s.ask(e.Worker, e.Event)
	case machine.Report:
		s.home.box = append(s.home.box, &report{e.Event})
	case machine.HangUp:
		s.link(e.To).hungUp = e.Text
		detector := "replaced"
		if y, judged := e.Event.(*machine.Why); judged {
			detector = y.Detector
		}
		s.lose(s.link(e.To), detector, e.Text)
	case machine.Sound:
		l := s.link(e.To)
		s.effects(s.home, s.broker.Sounded(s.now, e.To, s.now-l.heard, !l.mute, false, nil))
	case machine.Note:
		if y, is := e.Event.(*machine.Why); is {
			s.notes = append(s.notes, *y)
		}
	default:
		require.FailNow(s.t, "no such effect", "%d", e.Kind)
	}
}

func (s *stage) undelivered(n *node, e *machine.Effect, err error, fx []machine.Effect) []machine.Effect {
	if n.hit == nil || e.To != n.hit.Worker || e.Header.Type != wire.Call && e.Header.Type != wire.Begin && e.Header.Type != wire.Part {
		return fx
	}
	u := machine.Undelivered{Msg: e.Msg, Status: wire.WorkerGone, Cause: err}
	if errors.Is(err, wire.ErrPeerSlow) {
		u.Status = wire.PeerSlow
	}
	return n.hit.Undeliver(u, fx)
}
