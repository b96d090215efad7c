package machine

import "time"

// Fleet is what a client knows of its brokers: who is registered, who is silent, and whose turn it is. It is shared by the client's attempts and not
// safe for concurrent use.
type Fleet struct {
	Patience time.Duration // how long a broker may say nothing when it is asked for something
	Suspects uint64        // how often a broker was found silent
	brokers  []standing
}

// standing is one broker's.
type standing struct {
	weight, current int
	up              bool
	suspect         bool          // it has not answered, and has said nothing since
	heard           time.Duration // when it last said something
	asked           time.Duration // when it was last sent a PING
}

// Recent is how fresh a broker's last sign has to be for a call that cannot be taken back.
const Recent = time.Second

// NewFleet returns a fleet of brokers with these weights, none of which is registered yet.
func NewFleet(patience time.Duration, weights ...int) *Fleet {
	f := &Fleet{Patience: patience, brokers: make([]standing, len(weights))}
	for i, w := range weights {
		f.brokers[i].weight = w
	}
	return f
}

// Up says that the client is registered at a broker; it has just said so itself.
func (f *Fleet) Up(i int, now time.Duration) {
	b := &f.brokers[i]
	b.up, b.suspect, b.heard = true, false, now
}

// Down says that the connection to a broker is lost.
func (f *Fleet) Down(i int) { f.brokers[i].up = false }

// Heard says that a broker has said something at a time. It reports whether that was news: a suspect is none any more.
func (f *Fleet) Heard(i int, at time.Duration) bool {
	b := &f.brokers[i]
	if at <= b.heard {
		return false
	}
	b.heard = at
	news := b.suspect
	b.suspect = false
	return news
}

// State returns whether a broker is registered, and whether it is silent.
func (f *Fleet) State(i int) (up, suspect bool) { return f.brokers[i].up, f.brokers[i].suspect }

// usable reports whether hits can be opened at a broker.
func (f *Fleet) usable(i int) bool { return f.brokers[i].up && !f.brokers[i].suspect }

// usables counts the brokers where hits can be opened.
func (f *Fleet) usables() (n int) {
	for i := range f.brokers {
		if f.usable(i) {
			n++
		}
	}
	return n
}

// pick chooses among the usable brokers that may be taken, by smooth weighted round robin: each gains its weight, and who is chosen pays for all. It
// returns -1 where there is none.
func (f *Fleet) pick(may func(i int) bool) int {
	best, sum := -1, 0
	for i := range f.brokers {
		if !f.usable(i) || !may(i) {
			continue
		}
		b := &f.brokers[i]
		b.current += b.weight
		sum += b.weight
		if best < 0 || b.current > f.brokers[best].current {
			best = i
		}
	}
	if best >= 0 {
		f.brokers[best].current -= sum
	}
	return best
}

// suspect notes that a broker has not answered.
func (f *Fleet) suspect(i int) {
	if b := &f.brokers[i]; !b.suspect {
		b.suspect = true
		f.Suspects++
	}
}

// ask has a broker sent a PING, unless one is on its way.
func (f *Fleet) ask(i int, now time.Duration, does []Do) []Do {
	b := &f.brokers[i]
	if b.asked > 0 && now-b.asked < f.Patience/4 {
		return does
	}
	b.asked = now
	return append(does, Do{What: SendPing, Broker: i})
}
