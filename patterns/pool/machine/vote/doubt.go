package vote

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// Config says who judges, and by what. All fields but the last two are required.
type Config struct {
	Me     wire.MemberID
	Limit  time.Duration // how long a master may be silent
	Window time.Duration // how long a poll is good for
	NoKill bool
	Faults Faults
}

// Kind is what the host of the machine has to do.
type Kind uint8

// The effects.
const (
	Look   Kind = iota + 1 // take a sample of the master and list who lives, and say so by Looked
	Poll                   // ask To for its vote in round Seq
	Ballot                 // answer To in round Seq
	Kill                   // kill the master's process, if it is still that process and still holds the term
	Ended                  // the term is free
	Tell                   // a verdict on the master
)

// Effect is one thing to do.
type Effect struct {
	Kind   Kind
	To     wire.MemberID
	Seq    uint64
	Ballot wire.Ballot // with Ballot

	// With Tell:
	Verdict string // FROZEN, HEALTHY, KILLED
	Silent  time.Duration
	Finding string
	Done    string
	Final   bool // it will not be killed: what waits for it waits in vain
}

type step uint8

const (
	calm      step = iota // it was heard within half of the limit
	uneasy                // and not any more: the first sample is asked for
	watching              // the first sample is there
	judging               // the limit is over, and the second sample asked for
	frozen                // the verdict is given
	polling               // ballots are being collected
	sentenced             // there is a majority: the last sample is asked for
	done                  // it was killed, or is never going to be
)

// Doubt is one member's judgement of its master. Make it by New.
type Doubt struct {
	cfg    Config
	target wire.MemberID
	term   uint64
	shield bool // the master is not to be killed

	step    step
	heard   time.Duration
	next    time.Duration // when the step is over, 0: never
	first   Sample
	last    Sample
	told    bool
	final   bool
	living  []wire.MemberID
	round   uint64
	began   time.Duration
	ballots map[wire.MemberID]wire.Ballot
	asked   []call // whom we owe a ballot when the sample is there
	nextOwn time.Duration
	looking bool
	pause   time.Duration // before the next poll
}

type call struct {
	from wire.MemberID
	seq  uint64
}

// New returns a judgement that nobody is subject to yet.
func New(cfg Config) *Doubt { return &Doubt{cfg: cfg} }

// Begin makes somebody its subject: the master of a term. Nothing that was before counts.
func (d *Doubt) Begin(now time.Duration, target wire.Record, term uint64) {
	*d = Doubt{cfg: d.cfg, target: target.ID, term: term, shield: target.NoKill, heard: now, round: d.round}
}

// Rest ends the judgement: nobody is followed.
func (d *Doubt) Rest() { *d = Doubt{cfg: d.cfg, round: d.round} }

// Target returns who is judged.
func (d *Doubt) Target() wire.MemberID { return d.target }

// Frozen reports whether the verdict stands, and whether it is final: told, and nobody will be killed for it.
func (d *Doubt) Frozen() (stands, final bool) { return d.told, d.final }

// Votes returns the ballots of the last poll.
func (d *Doubt) Votes() map[wire.MemberID]wire.Ballot { return d.ballots }

// Sign notes that the master was heard. Whatever was held against it is void.
func (d *Doubt) Sign(now time.Duration) []Effect {
	var fx []Effect
	if d.told {
		fx = []Effect{{Kind: Tell, Verdict: "HEALTHY", Silent: now - d.heard, Done: "what was held against it is void"}}
	}
	fx = append(fx, d.abstain(now)...)
	d.heard, d.step, d.told, d.final, d.looking, d.pause = now, calm, false, false, false, 0
	return fx
}

// abstain answers who waits for a ballot: the master was heard.
func (d *Doubt) abstain(now time.Duration) []Effect {
	var fx []Effect
	for _, c := range d.asked {
		fx = append(fx, d.ballot(c, Finding{What: "abstains: it was heard just now"}, now))
	}
	d.asked = nil
	return fx
}

// Run lets the judge go on; evidence counts from since on (liveness.Judge).
func (d *Doubt) Run(now, since time.Duration) []Effect {
	if d.target == 0 || d.target == d.cfg.Me {
		return nil
	}
	if since > d.heard { // we stood still ourselves: everything begins anew
		fx := d.abstain(now)
		d.heard, d.looking = since, false
		if !d.told {
			d.step = calm
		} else {
			d.step, d.next = frozen, now+d.cfg.Limit
		}
		return fx
	}
	silent := now - d.heard
	switch d.step {
	case calm:
		if silent >= d.cfg.Limit/2 {
			d.step = uneasy
			return d.look()
		}
	case watching:
		if silent >= d.cfg.Limit {
			d.step = judging
			return d.look()
		}
	case frozen:
		if d.next > 0 && now >= d.next && !d.looking {
			d.next = 0
			return d.look()
		}
	case polling:
		if now >= d.began+d.cfg.Window {
			return d.inconclusive(now)
		}
	case uneasy, judging, sentenced, done:
	}
	return nil
}

func (d *Doubt) look() []Effect {
	if d.looking {
		return nil
	}
	d.looking = true
	return []Effect{{Kind: Look}}
}

// Looked takes in a sample of the master, and who lives on the host by the kernel's word, the master included.
func (d *Doubt) Looked(now time.Duration, term uint64, s Sample, living []wire.MemberID) []Effect {
	if term != d.term || d.target == 0 || !d.looking {
		return nil
	}
	d.looking, d.living = false, living
	if now-d.heard < d.cfg.Limit/2 {
		return d.abstain(now)
	}
	if d.step == uneasy {
		d.first, d.step = s, watching
	}
	d.last = s
	finding := Judge(d.first, s)
	if finding.Ended {
		d.target = 0
		return []Effect{{Kind: Ended}}
	}
	var fx []Effect
	if d.step >= judging {
		fx = d.answer(now, finding)
	}
	switch d.step {
	case judging:
		return append(fx, d.verdict(now, finding)...)
	case frozen:
		return append(fx, d.again(now, finding)...)
	case sentenced:
		return append(fx, d.execute(now, finding)...)
	case calm, uneasy, watching, polling, done:
	}
	return fx
}

// verdict gives FROZEN, and decides what comes of it.
func (d *Doubt) verdict(now time.Duration, f Finding) []Effect {
	if now-d.heard < d.cfg.Limit {
		d.step = watching
		return nil
	}
	d.step, d.told = frozen, true
	tell := Effect{Kind: Tell, Verdict: "FROZEN", Silent: now - d.heard, Finding: f.What}
	if why := d.never(); why != "" {
		d.final, d.step = true, done
		tell.Done, tell.Final = "reported only: "+why, true
		return []Effect{tell}
	}
	if !f.Guilty {
		tell.Done, d.next = "this member abstains and looks again", now+d.cfg.Limit
		d.first = d.last
		return []Effect{tell}
	}
	tell.Done = fmt.Sprintf("the living members of the host are asked to vote: %d of %d must agree", Majority(len(d.living), d.cfg.Faults), len(d.living))
	// One poll is enough: the members hold theirs one after the other.
	d.next = now + time.Duration(d.rank())*d.cfg.Window
	return append([]Effect{tell}, d.Run(now, 0)...)
}

// never says why the master is not going to be killed whatever is found; empty if it may be.
func (d *Doubt) never() string {
	switch n := len(d.living); {
	case d.cfg.NoKill:
		return "this member was told not to kill"
	case d.shield:
		return "the master was told that it is not to be killed"
	case Majority(n, d.cfg.Faults) > n-1:
		return fmt.Sprintf("of %d living members no majority is possible without the master", n)
	}
	return ""
}

// rank is how many living voters come before this one.
func (d *Doubt) rank() int {
	n := 0
	for _, id := range d.living {
		if id < d.cfg.Me && id != d.target {
			n++
		}
	}
	return n
}

// again is another look after the verdict: a poll, if the master is still guilty.
func (d *Doubt) again(now time.Duration, f Finding) []Effect {
	if !f.Guilty || now-d.heard < d.cfg.Limit || d.never() != "" {
		d.next, d.first = now+d.cfg.Limit, d.last
		return nil
	}
	if now < d.nextOwn { // somebody else holds a poll
		d.next = d.nextOwn
		return nil
	}
	d.step, d.began = polling, now
	d.round++
	mine := d.ballot(call{}, f, now).Ballot
	d.ballots = map[wire.MemberID]wire.Ballot{d.cfg.Me: mine}
	var fx []Effect
	for _, id := range d.living {
		if id != d.cfg.Me && id != d.target {
			fx = append(fx, Effect{Kind: Poll, To: id, Seq: d.round})
		}
	}
	return append(fx, d.count()...)
}

// Voted takes in a ballot.
func (d *Doubt) Voted(now time.Duration, from wire.MemberID, seq uint64, b wire.Ballot) []Effect {
	late := now-d.began > d.cfg.Window
	if d.step != polling || seq != d.round || late || b.Target != d.target || b.Term != d.term || !slices.Contains(d.living, from) || from == d.target {
		return nil
	}
	d.ballots[from] = b
	return d.count()
}

// count looks for a majority.
func (d *Doubt) count() []Effect {
	if d.guilty() < Majority(len(d.living), d.cfg.Faults) {
		return nil
	}
	d.step = sentenced
	return d.look()
}

// guilty counts the votes against the master of those who live.
func (d *Doubt) guilty() int {
	n := 0
	for id, b := range d.ballots {
		if b.Guilty && slices.Contains(d.living, id) {
			n++
		}
	}
	return n
}

// execute kills, unless anything has changed since the poll began.
func (d *Doubt) execute(now time.Duration, f Finding) []Effect {
	majority := Majority(len(d.living), d.cfg.Faults)
	if !f.Guilty || now-d.heard < d.cfg.Limit || now-d.began > 2*d.cfg.Window || d.guilty() < majority {
		return d.inconclusive(now)
	}
	d.step = done
	return []Effect{
		{Kind: Tell, Verdict: "KILLED", Silent: now - d.heard, Finding: f.What, Done: fmt.Sprintf("killed: %d of %d living members agreed, %d were needed", d.guilty(), len(d.living), majority)},
		{Kind: Kill},
	}
}

// inconclusive ends a poll without a majority. Another one is held later.
func (d *Doubt) inconclusive(now time.Duration) []Effect {
	d.pause = min(max(2*d.pause, d.cfg.Window), d.cfg.Limit)
	d.step, d.next = frozen, now+d.pause
	text := fmt.Sprintf("not killed: %d of %d living members agreed, %d are needed; it is asked again", d.guilty(), len(d.living), Majority(len(d.living), d.cfg.Faults))
	return []Effect{{Kind: Tell, Verdict: "FROZEN", Silent: now - d.heard, Finding: Judge(d.first, d.last).What, Done: text}}
}

// Failed takes in that the kill did not come about; another poll is held later.
func (d *Doubt) Failed(now time.Duration) {
	if d.step == done && !d.final {
		d.step, d.next = frozen, now+d.cfg.Limit
	}
}

// Polled takes in that somebody asks for our vote.
func (d *Doubt) Polled(now time.Duration, from wire.MemberID, seq uint64, p wire.Poll) []Effect {
	c := call{from, seq}
	silent := now - d.heard
	switch {
	case p.Term != d.term || p.Target != d.target || d.target == 0:
		return []Effect{{Kind: Ballot, To: from, Seq: seq, Ballot: wire.Ballot{Target: p.Target, Term: p.Term, Finding: "abstains: it follows another master"}}}
	case d.cfg.NoKill:
		return []Effect{d.ballot(c, Finding{What: "abstains: this member was told not to kill"}, now)}
	case silent < d.cfg.Limit-d.cfg.Window || d.step < watching:
		return []Effect{d.ballot(c, Finding{What: fmt.Sprintf("abstains: it was heard %v ago", silent.Round(time.Millisecond))}, now)}
	}
	d.nextOwn = now + 2*d.cfg.Window
	d.asked = append(d.asked, c)
	if d.step < judging {
		return nil // the limit is over in a moment
	}
	return d.look()
}

// answer gives the ballots that are owed.
func (d *Doubt) answer(now time.Duration, f Finding) []Effect {
	var fx []Effect
	for _, c := range d.asked {
		if now-d.heard < d.cfg.Limit {
			f = Finding{What: "abstains: it was heard too short a time ago"}
		}
		fx = append(fx, d.ballot(c, f, now))
	}
	d.asked = nil
	return fx
}

func (d *Doubt) ballot(c call, f Finding, now time.Duration) Effect {
	return Effect{Kind: Ballot, To: c.from, Seq: c.seq, Ballot: wire.Ballot{
		Target: d.target, Term: d.term, Guilty: f.Guilty, Finding: f.What, SilentMS: (now - d.heard).Milliseconds(),
	}}
}

// Deadline says when Run has something to do, 0 for never.
func (d *Doubt) Deadline() time.Duration {
	if d.target == 0 || d.target == d.cfg.Me {
		return 0
	}
	switch d.step {
	case calm:
		return d.heard + d.cfg.Limit/2
	case watching:
		return d.heard + d.cfg.Limit
	case frozen:
		return d.next
	case polling:
		return d.began + d.cfg.Window
	case uneasy, judging, sentenced, done:
	}
	return 0
}
