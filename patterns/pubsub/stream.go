package pubsub

import (
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/pubsub/machine"
)

// source is one run of a publisher.
type source struct {
	epoch   uint64
	streams map[string]*stream
}

// stream is one topic of a source.
type stream struct {
	source *source
	link   *link
	topic  string
	flow   machine.Flow
	hungry bool // in the list of those that wait
}

// Limits of what a subscriber remembers: of publishers that were started again and again, and of topics. Beyond that gaps are not seen.
const (
	maxSources = 1024
	maxStreams = 1_000_000
	maxHeld    = 1000 // updates that wait for those before them
)

func (s *Subscriber) stream(l *link, epoch uint64, topic []byte) *stream {
	if st := l.last; st != nil && st.source.epoch == epoch && st.topic == string(topic) {
		return st
	}
	l.last = s.find(l, epoch, topic)
	return l.last
}

// find finds a stream, or makes it.
func (s *Subscriber) find(l *link, epoch uint64, topic []byte) *stream {
	src := s.sources[epoch]
	if src == nil {
		if len(s.sources) >= maxSources {
			clear(s.sources)
		}
		src = &source{epoch: epoch, streams: make(map[string]*stream)}
		s.sources[epoch] = src
	}
	st := src.streams[string(topic)]
	if st == nil {
		if len(src.streams) >= maxStreams {
			clear(src.streams)
		}
		st = &stream{source: src, link: l, topic: string(topic), flow: machine.Flow{Patience: s.cfg.Patience, MaxHeld: min(maxHeld, s.cfg.Queue)}}
		if s.cfg.Gap == CatchUp {
			st.flow.Policy = machine.CatchUp
		}
		src.streams[st.topic] = st
	}
	st.link = l
	return st
}

// hear takes one message of an endpoint.
func (s *Subscriber) hear(l *link, in *zmqsock.In, i int) {
	s.in = in.Frames(i, s.in[:0])
	now := s.station.At()
	if l.heard.Load() != int64(now) {
		l.heard.Store(int64(now))
	}
	if s.cfg.Plain {
		s.take(nil, now, header{}, s.in)
		return
	}
	switch first := s.in[0]; {
	case len(first) == 0 || in.Meta(i).Dropped > 0:
		s.bad()
	case first[0] < reserved:
		s.hearUpdate(l, now)
	default:
		s.hearAnswer(string(first), now)
	}
}

func (s *Subscriber) hearUpdate(l *link, now time.Duration) {
	topic, h, body, ok := splitUpdate(s.in[0])
	if !ok {
		s.bad()
		return
	}
	frames := s.in[1:]
	if !h.bare {
		s.in[0], frames = body, s.in
	}
	s.take(s.stream(l, h.epoch, topic), now, h, frames)
}

// hearAnswer takes what is no update: an answer, or a heartbeat.
func (s *Subscriber) hearAnswer(first string, now time.Duration) {
	if len(s.in) < 2 {
		s.bad()
		return
	}
	switch h, ok := parseHeader(s.in[1]); {
	case !ok:
		s.bad()
	case first[0] == know[0]:
		s.answer(first, h, now)
	case h.kind != heartbeat:
		s.bad()
	}
}

func (s *Subscriber) bad() {
	s.count.bad.Add(1)
}

// answer takes one answer to a request.
func (s *Subscriber) answer(text string, h header, now time.Duration) {
	a := s.asks[text]
	if a == nil {
		return // answered already
	}
	if (h.kind == value || h.kind == kept) && len(s.in) < 3 {
		s.bad()
		return
	}
	switch h.kind {
	case value:
		s.take(s.stream(a.link, h.epoch, s.in[2]), now, h, s.in[3:])
	case kept:
		if st := a.stream; st != nil && st.source.epoch == h.epoch {
			s.take(st, now, h, s.in[3:])
		}
	case over:
		if st := a.stream; st != nil {
			s.answered(text, a)
			s.result(st, st.flow.Over(now))
		}
	case heard, known:
		s.stands(a, h, now)
		if h.kind == known {
			s.answered(text, a)
		}
	}
}

// stands takes in where a topic stands; of a prefix nothing is said.
func (s *Subscriber) stands(a *ask, h header, now time.Duration) {
	n := len(a.filter)
	if n == 0 || a.filter[n-1] != 0 || h.epoch == 0 {
		return
	}
	st := s.stream(a.link, h.epoch, []byte(a.filter[:n-1]))
	s.result(st, st.flow.Stands(now, h.seq))
}

// take puts one update into its order. Without room it is as if it had never come.
func (s *Subscriber) take(st *stream, now time.Duration, h header, frames [][]byte) {
	if !s.queue.room(len(s.fresh)) {
		s.lost++
		s.count.overflow.Add(1)
		return
	}
	if st == nil {
		s.deliver(plainMessage(frames))
		return
	}
	m := &Message{Topic: st.topic, Seq: h.seq, Publisher: st.source.epoch, Last: h.kind == value}
	m.copyBody(frames)
	item := machine.Item{Seq: h.seq, Body: m}
	if h.kind == kept {
		s.count.caughtup.Add(1)
		s.result(st, st.flow.Past(now, item))
		return
	}
	s.result(st, st.flow.Live(now, item))
}

// result does what a flow has decided.
func (s *Subscriber) result(st *stream, r machine.Result) {
	for _, item := range r.Deliver {
		m, _ := item.Body.(*Message) // the flow holds nothing else
		if m.Missed = item.Missed; m.Missed > 0 {
			s.missed(m)
		}
		s.deliver(m)
	}
	if r.Ask != nil {
		s.request(&ask{link: st.link, stream: st}, pastRequest(newNonce(), st.source.epoch, r.Ask.From, r.Ask.To, st.topic))
		if !st.hungry {
			st.hungry = true
			s.hungry = append(s.hungry, st)
		}
	}
}

func (s *Subscriber) missed(m *Message) {
	s.lost += m.Missed
	s.count.missed.Add(m.Missed)
	if s.cfg.Gap == Fail {
		s.fresh = append(s.fresh, &Message{Topic: m.Topic, err: &Error{
			Op: "receive", Topic: m.Topic, Missed: m.Missed, Kind: ErrGap,
			Text: "they were lost on the way, or here since Receive was called too seldom: the next Receive goes on after the gap; CatchUp would fill it",
		}})
	}
}

// deliver hands an update over at the end of the turn.
func (s *Subscriber) deliver(m *Message) { s.fresh = append(s.fresh, m) }

// hand hands over what the turn has brought.
func (s *Subscriber) hand() {
	if len(s.fresh) == 0 {
		return
	}
	n := uint64(0)
	for _, m := range s.fresh {
		if m.err == nil {
			n++
		}
	}
	s.count.received.Add(n)
	s.queue.put(s.fresh)
	clear(s.fresh)
	s.fresh = s.fresh[:0]
}

// tellEvery is how often publishers are told of losses.
const tellEvery = 100 * time.Millisecond

// turn gives up waiting for histories whose time is over, tells of losses, and sends.
func (s *Subscriber) turn(now time.Duration) (int, time.Duration) {
	wait := time.Duration(-1)
	left := s.hungry[:0]
	for _, st := range s.hungry {
		s.result(st, st.flow.Tick(now))
		until, asking := st.flow.Asking()
		if !asking {
			st.hungry = false
			continue
		}
		left = append(left, st)
		if d := max(until-now, 0); wait < 0 || d < wait {
			wait = d
		}
	}
	clear(s.hungry[len(left):])
	s.hungry = left
	s.hand()
	for _, d := range []time.Duration{s.tell(now), s.repeat(now)} {
		if d >= 0 && (wait < 0 || d < wait) {
			wait = d
		}
	}
	n := s.out.Len()
	s.out.Send() // an XSUB takes everything
	s.out.Reset()
	return n, wait
}

// tell reports losses to all publishers: whose updates they were is not worth the bookkeeping. It returns when it wants to be called again, if it does.
func (s *Subscriber) tell(now time.Duration) time.Duration {
	if s.lost == 0 || s.cfg.Plain {
		return -1
	}
	if now-s.told < tellEvery {
		return s.told + tellEvery - now
	}
	for _, l := range s.links {
		s.say(l, fmtLost(s.cfg.Name, s.lost))
	}
	s.lost, s.told = 0, now
	return -1
}

func (s *Subscriber) end() { s.out.Free() }
