package machine

import (
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// What is what the host of an attempt has to do.
type What uint8

// The doings of an attempt.
const (
	SendOpen   What = iota + 1 // send the OPEN to Broker, with the flag now if Now says so
	CancelOpen                 // take back the OPEN that was sent to Broker; if it is opened all the same, close it
	SendPing                   // send a PING to Broker
	GiveUp                     // tell the caller the last refusal
)

// Do is one thing the host of an attempt has to do.
type Do struct {
	What   What
	Broker int
	Now    bool
}

// verdict is what a broker has said to an attempt.
type verdict uint8

const (
	unasked verdict = iota
	full            // no slot there at once
	unknown         // it knows no such service, so far
	leaving         // it takes no new hits
	final           // it will not have the hit, even if that waits
)

// phase is where an attempt stands.
type phase uint8

const (
	seeking  phase = iota // no broker is usable
	trying                // an OPEN that does not wait is on its way
	queued                // an OPEN waits at a broker
	checking              // a broker is asked whether it is there, before a one-shot is sent to it
	sent                  // a one-shot is on its way: it cannot be taken back
	pausing               // a one-shot waits until it is tried once more
	over
)

// Attempt is the machine of one OPEN of a client with several brokers (hit.md, section 9). The host carries out what it returns, tells it of
// refusals and time, and forgets it when the hit is opened, or has failed for good.
type Attempt struct {
	fleet   *Fleet
	oneshot bool
	phase   phase
	main    watch // the OPEN that waits, or the broker that is checked
	side    watch // while it waits: an OPEN that does not, at another broker
	said    []verdict
	retry   time.Duration // when to look again
	pause   time.Duration // before all are tried once more
	limit   time.Duration // until when that is done
}

// watch is a broker that owes an answer.
type watch struct {
	broker int
	on     bool
	waits  bool          // its OPEN waits for a slot there
	asked  bool          // it has been sent a PING since
	since  time.Duration // it has said something after that, or is silent
	next   time.Duration // when to look
}

const (
	firstPause = 5 * time.Millisecond
	mostPause  = 100 * time.Millisecond
	mostTime   = 30 * time.Second // of pauses in all; for callers who name no deadline
)

// NewAttempt returns the machine of an OPEN; oneshot says that its call comes along, so that it must not be sent twice.
func NewAttempt(f *Fleet, oneshot bool) *Attempt {
	return &Attempt{fleet: f, oneshot: oneshot, said: make([]verdict, len(f.brokers)), pause: firstPause}
}

// Start sends the first OPEN, if there is a broker.
func (a *Attempt) Start(now time.Duration) []Do {
	a.limit = now + mostTime
	return a.seek(now, nil)
}

// Refused takes the refusal of an OPEN that was never started there: by a broker, or by the loss of the connection to it (BrokerGone).
func (a *Attempt) Refused(now time.Duration, broker int, s wire.Status) []Do {
	if a.side.on && a.side.broker == broker {
		a.side.on = false
		return nil
	}
	if !a.main.on || a.main.broker != broker || a.phase == over {
		return nil
	}
	a.main.on = false
	switch {
	case s == wire.BrokerGone:
		a.said[broker] = unasked // it may come back
	case s == wire.Draining:
		a.said[broker] = leaving
	case a.main.waits && s != wire.SlotTaken, s == wire.PeerSlow:
		a.said[broker] = final
	case s == wire.UnknownService:
		a.said[broker] = unknown
	default:
		a.said[broker] = full
	}
	return a.seek(now, nil)
}

// Tick takes the passing of time, and news about brokers.
func (a *Attempt) Tick(now time.Duration) []Do {
	var does []Do
	if a.side.on {
		does = a.lookAfter(now, &a.side, does)
	}
	switch a.phase {
	case seeking:
		return a.seek(now, does)
	case pausing:
		if now >= a.retry || a.fleet.usables() == 0 {
			clear(a.said)
			return a.seek(now, does)
		}
	case checking:
		return a.check(now, does)
	case trying, queued:
		does = a.lookAfter(now, &a.main, does)
		if !a.main.on {
			return a.seek(now, does)
		}
		if a.phase == queued && now >= a.retry {
			return a.elsewhere(now, does)
		}
	default: // sent, over: nothing falls due
	}
	return does
}

// Deadline says when Tick wants to be called, 0 for never.
func (a *Attempt) Deadline() time.Duration {
	at := time.Duration(0)
	soonest := func(t time.Duration) {
		if at == 0 || t < at {
			at = t
		}
	}
	if a.main.on && a.phase != sent {
		soonest(a.main.next)
	}
	if a.side.on {
		soonest(a.side.next)
	}
	if a.phase == seeking || a.phase == pausing || a.phase == queued {
		soonest(a.retry)
	}
	return at
}

// seek finds the next broker.
func (a *Attempt) seek(now time.Duration, does []Do) []Do {
	if i := a.fleet.pick(func(i int) bool { return a.said[i] == unasked && !a.side.at(i) }); i >= 0 {
		return a.try(now, i, does)
	}
	if a.fleet.usables() == 0 {
		return a.wait(now, does)
	}
	for _, v := range []verdict{full, unknown} {
		if v == full && a.oneshot && a.count(full) > 1 {
			return a.rest(now, does)
		}
		if i := a.fleet.pick(func(i int) bool { return a.said[i] == v && !a.side.at(i) }); i >= 0 {
			return a.queue(now, i, does)
		}
	}
	if a.side.on {
		a.phase, a.retry = seeking, a.side.next // all others are asked, and it may still have a slot
		return does
	}
	if a.count(leaving) > 0 && a.fleet.usables() < len(a.said) {
		return a.rest(now, does) // brokers that are being restarted, say
	}
	a.phase = over
	return append(does, Do{What: GiveUp})
}

// rest lets some time pass before all brokers are asked once more.
func (a *Attempt) rest(now time.Duration, does []Do) []Do {
	if now >= a.limit {
		a.phase = over
		return append(does, Do{What: GiveUp})
	}
	a.phase, a.retry = pausing, now+a.pause
	a.pause = min(2*a.pause, mostPause)
	return does
}

// count returns how many usable brokers have said so.
func (a *Attempt) count(v verdict) (n int) {
	for i := range a.said {
		if a.said[i] == v && a.fleet.usable(i) {
			n++
		}
	}
	return n
}

// wait is for a broker to come, or to come back.
func (a *Attempt) wait(now time.Duration, does []Do) []Do {
	a.phase, a.retry = seeking, now+a.fleet.Patience
	for i := range a.fleet.brokers {
		if a.said[i] != final {
			a.said[i] = unasked
		}
		if a.fleet.brokers[i].up {
			does = a.fleet.ask(i, now, does)
		}
	}
	return does
}

// try sends the OPEN to a broker that is to say at once whether it has a slot.
func (a *Attempt) try(now time.Duration, i int, does []Do) []Do {
	a.main = a.watch(now, i)
	if !a.oneshot {
		a.phase = trying
		return append(does, Do{What: SendOpen, Broker: i, Now: true})
	}
	if now-a.fleet.brokers[i].heard > Recent {
		a.phase, a.main.asked, a.main.next = checking, true, now+a.fleet.Patience
		return a.fleet.ask(i, now, does)
	}
	a.phase = sent
	return append(does, Do{What: SendOpen, Broker: i, Now: true})
}

// queue lets the OPEN wait at a broker that had no slot at once.
func (a *Attempt) queue(now time.Duration, i int, does []Do) []Do {
	a.main, a.phase, a.retry = a.watch(now, i), queued, now+a.fleet.Patience
	a.main.waits = true
	if a.oneshot {
		a.phase = sent
	}
	return append(does, Do{What: SendOpen, Broker: i})
}

// elsewhere asks another broker whether it has a slot by now, while the OPEN waits where it is.
func (a *Attempt) elsewhere(now time.Duration, does []Do) []Do {
	a.retry = now + a.fleet.Patience
	if a.side.on {
		return does
	}
	i := a.fleet.pick(func(i int) bool { return i != a.main.broker && a.said[i] != final })
	if i < 0 {
		return does
	}
	a.side = a.watch(now, i)
	return append(does, Do{What: SendOpen, Broker: i, Now: true})
}

// check sends a one-shot to the broker that has answered, or looks for another one.
func (a *Attempt) check(now time.Duration, does []Do) []Do {
	i := a.main.broker
	switch {
	case !a.fleet.usable(i):
		a.main.on = false
		return a.seek(now, does)
	case a.fleet.brokers[i].heard > a.main.since:
		a.phase = sent
		return append(does, Do{What: SendOpen, Broker: i, Now: true})
	case now >= a.main.next:
		a.main.on = false
		a.fleet.suspect(i)
		return a.seek(now, does)
	}
	return does
}

func (w *watch) at(i int) bool { return w.on && w.broker == i }

// watch expects an answer, or at least a sign of life. Half the patience is for the answer, the rest for that to a PING.
func (a *Attempt) watch(now time.Duration, i int) watch {
	return watch{broker: i, on: true, since: now, next: now + a.fleet.Patience/2}
}

// lookAfter sees whether a broker that owes an answer is alive; one that is not loses the OPEN.
func (a *Attempt) lookAfter(now time.Duration, w *watch, does []Do) []Do {
	alive := a.fleet.brokers[w.broker].heard > w.since
	switch {
	case a.fleet.brokers[w.broker].suspect: // others have found out
	case now < w.next:
		return does
	case alive: // it takes its time to open the session
		w.asked, w.since, w.next = false, now, now+a.fleet.Patience/2
		return does
	case !w.asked:
		w.asked, w.next = true, max(w.since+a.fleet.Patience, now+a.fleet.Patience/2) // who looks late gives it time all the same
		return a.fleet.ask(w.broker, now, does)
	}
	a.fleet.suspect(w.broker)
	w.on = false
	return append(does, Do{What: CancelOpen, Broker: w.broker})
}
