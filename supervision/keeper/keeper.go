package keeper

import (
	"slices"
	"time"

	"github.com/troupe-mq/troupe/supervision/liveness"
	"github.com/troupe-mq/troupe/supervision/restart"
	"github.com/troupe-mq/troupe/supervision/watch"
)

// State is where a Keeper stands.
type State uint8

// The states.
const (
	Idle    State = iota // nothing is kept yet
	Opening              // the child is being started
	Up                   // it runs
	Leaving              // it was told to end
	Doomed               // it was judged, and is being ended
	Waiting              // it is started again in a while
	Done                 // there is nothing left to keep
	states
)

// String returns the state in one word.
func (s State) String() string {
	return [...]string{"idle", "opening", "up", "leaving", "doomed", "waiting", "done"}[s]
}

// Keeper is the machine of one child process. Make it with New. It is not safe for concurrent use.
type Keeper struct {
	rules   Rules
	state   State
	ledger  restart.Ledger
	judge   liveness.Judge
	stands  watch.Handler // is it stopped
	pulse   watch.Handler // does its pulse go on
	began   time.Duration // when the child was started
	at      time.Duration // when it is killed, or started again; 0: never
	attempt int           // for the back-off
	started bool          // one child at least could be started
	orders  int           // to end
}

// New returns the machine. The rules are valid.
func New(rules Rules) *Keeper {
	k := &Keeper{rules: rules, ledger: restart.NewLedger(rules.Intensity)}
	if limit := rules.shortest(); limit > 0 {
		k.judge = liveness.NewJudge(limit)
		k.judge.Every = limit / looks
	}
	return k
}

// looks is how often a child is looked at within the shortest limit. What is seen at one look and lasts is known within two of them, so that verdicts come
// within a tenth of the limit.
const looks = 24

// State returns where the keeper stands.
func (k *Keeper) State() State { return k.state }

// Deadline says when Tick has something to do, 0 for never.
func (k *Keeper) Deadline() time.Duration {
	at := k.at
	if look := k.judge.Deadline(); k.judged() && (at == 0 || look < at) {
		at = look
	}
	return at
}

// judged reports whether there is a child to look at.
func (k *Keeper) judged() bool { return k.judge.Every > 0 && (k.state == Up || k.state == Leaving) }

// Step takes an event.
func (k *Keeper) Step(now time.Duration, e Event) []Effect {
	if step := table[k.state][e.What]; step != nil {
		return step(k, now, e)
	}
	return nil
}

type step func(*Keeper, time.Duration, Event) []Effect

// table is the state table of docs/supervision.md. What is left out has no effect.
var table = [states][whats]step{
	Idle:    {Begin: (*Keeper).begin, Order: (*Keeper).leave},
	Opening: {Started: (*Keeper).up, Ended: (*Keeper).ended, Order: (*Keeper).note},
	Up:      {Ended: (*Keeper).ended, Looked: (*Keeper).looked, Order: (*Keeper).pass, Tick: (*Keeper).tick},
	Leaving: {Ended: (*Keeper).ended, Looked: (*Keeper).looked, Order: (*Keeper).press, Tick: (*Keeper).tick},
	Doomed:  {Ended: (*Keeper).ended, Order: (*Keeper).press, Tick: (*Keeper).tick},
	Waiting: {Order: (*Keeper).leave, Tick: (*Keeper).again},
}

func (k *Keeper) begin(time.Duration, Event) []Effect {
	k.state, k.at = Opening, 0
	return []Effect{{Kind: Start}}
}

// up begins to judge a child: nothing of an earlier one counts.
func (k *Keeper) up(now time.Duration, _ Event) []Effect {
	k.state, k.began, k.started = Up, now, true
	k.stands, k.pulse = watch.Handler{Limit: k.rules.Frozen}, watch.Handler{Limit: k.rules.Pulse}
	if k.judge.Every > 0 {
		k.judge.Rest()
		k.judge.Ran(now)
	}
	if k.orders > 0 {
		return k.pass(now, Event{What: Order})
	}
	return nil
}

// note remembers an order that comes while the child is being started.
func (k *Keeper) note(time.Duration, Event) []Effect {
	k.orders++
	return nil
}

// pass tells the child to end.
func (k *Keeper) pass(_ time.Duration, _ Event) []Effect {
	k.orders = max(k.orders, 1)
	k.state = Leaving
	return []Effect{{Kind: Pass}}
}

// press takes another order: the child has Grace then, and after one more nothing.
func (k *Keeper) press(now time.Duration, _ Event) []Effect {
	k.orders++
	switch {
	case k.orders > 2:
		k.at = 0
		return []Effect{{Kind: Kill}}
	case k.state == Doomed:
		return nil // it is being ended already
	}
	k.at = now + k.rules.Grace
	return []Effect{{Kind: Pass}}
}

// leave ends a keeper that has no child at present.
func (k *Keeper) leave(time.Duration, Event) []Effect {
	k.state, k.at = Done, 0
	return []Effect{{Kind: Over}}
}

// again starts the child again when its back-off is over.
func (k *Keeper) again(now time.Duration, e Event) []Effect {
	if now < k.at {
		return nil
	}
	return k.begin(now, e)
}

// tick kills a child whose Grace is over, and has it looked at.
func (k *Keeper) tick(now time.Duration, _ Event) []Effect {
	if k.at > 0 && now >= k.at {
		k.at = 0
		return []Effect{{Kind: Kill}}
	}
	if !k.judged() || now < k.judge.Deadline() {
		return nil
	}
	k.judge.Ran(now)
	return []Effect{{Kind: Look}}
}

// ended decides what follows the end of a child.
func (k *Keeper) ended(now time.Duration, e Event) []Effect {
	n := Note{End: e.End, Limit: k.ledger.Limit().Restarts, Window: k.ledger.Limit().Window}
	if e.End.Failed == "" {
		n.Ran = now - k.began
	}
	if n.Reason = k.final(e.End); n.Reason != "" {
		return k.over(n, e.End.Code)
	}
	if !k.ledger.Record(instant(now)) {
		n.Reason = "it was started again too often"
		return k.over(n, max(e.End.Code, 1))
	}
	if n.Ran >= n.Window {
		k.attempt = 0
	}
	n.Again, n.Count, n.Reason = true, k.ledger.Count(instant(now)), "its restart type is "+k.rules.Restart.String()
	if slices.Contains(k.rules.AtOnce, e.End.Code) {
		n.Reason = "it has asked for it by its exit code"
	} else {
		n.In = k.rules.Backoff.Delay(k.attempt, e.Random)
		k.attempt++
	}
	k.state, k.at = Waiting, max(now+n.In, 1)
	fx := []Effect{{Kind: Report, Report: n}}
	return append(fx, k.again(now, e)...)
}

// final says why a child is not started again, whatever its intensity; empty: it is.
func (k *Keeper) final(e End) string {
	class := restart.Normal
	if e.Code != 0 || e.Failed != "" || k.state == Doomed {
		class = restart.Abnormal
	}
	switch {
	case k.orders > 0:
		return "it was told to end"
	case !k.started:
		return "it could not be started"
	case slices.Contains(k.rules.Final, e.Code):
		return "another start would change nothing"
	case !restart.Decide(k.rules.Restart, class):
		return "its end was " + class.String() + ", and its restart type is " + k.rules.Restart.String()
	}
	return ""
}

func (k *Keeper) over(n Note, code int) []Effect {
	k.state, k.at = Done, 0
	return []Effect{{Kind: Report, Report: n}, {Kind: Over, Code: code}}
}

// instant is a time of the host's clock as the ledger counts it.
func instant(now time.Duration) time.Time { return time.Time{}.Add(now) }
