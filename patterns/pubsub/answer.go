package pubsub

import (
	"fmt"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/pubsub/machine"
)

// maxFrames is how many frames a body may have: a batch keeps 64 of each message.
const maxFrames = 60

func tooLarge(topic string, size, frames, most int) error {
	return &Error{
		Op: "publish", Topic: topic, Kind: ErrTooLarge,
		Text: fmt.Sprintf("it has %d bytes in %d frames; %d bytes (MaxBody) in %d frames are possible: publish where it is to be found instead, or in parts", size, frames, most, maxFrames),
	}
}

// hear takes what a subscriber's socket says: subscriptions, requests among them, and reports.
func (p *Publisher) hear(in *zmqsock.In, i int) {
	p.in = in.Frames(i, p.in[:0])
	said, fd := p.in[0], in.Meta(i).FD
	p.readers.met(fd, p.station.Now())
	switch {
	case len(said) == 0 || said[0] > 1:
		p.reported(said, fd)
	case said[0] == 1 && len(said) > 1 && said[1] == know[0]:
		p.asked(said[1:], fd)
	}
}

// reported takes a subscriber's word that it has lost something.
func (p *Publisher) reported(said []byte, fd int) {
	name, n, ok := parseLost(said)
	if !ok {
		p.bad()
		return
	}
	p.readers.lost(name, fd, n, p.station.Now())
}

func (p *Publisher) bad() {
	p.mu.Lock()
	p.stats.Bad++
	p.mu.Unlock()
}

// asked answers a request. The answers are in line with the updates: what was published before is known to them, what comes later follows.
func (p *Publisher) asked(text []byte, fd int) {
	r, ok := parseRequest(text)
	if !ok {
		p.bad()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.know {
		p.stats.Requests++
		p.readers.named(r.name, fd)
		if r.again {
			p.out.Send() // all of it comes before the answer
			p.out.Reset()
			p.lull.keep(p.station.Now())
		}
		p.answerKnow(text, r.filter)
		return
	}
	if r.epoch != p.epoch {
		return // another publisher is meant
	}
	p.stats.Requests++
	if t := p.book.Find(r.topic); t != nil {
		t.Range(r.from, r.to, func(k machine.Kept) {
			p.write(text, header{kind: kept, epoch: p.epoch, seq: k.Seq}, append([][]byte{[]byte(t.Name)}, k.Body...))
		})
	}
	p.write(text, header{kind: over, epoch: p.epoch, seq: r.to}, [][]byte{[]byte(r.topic)})
}

func (p *Publisher) answerKnow(text []byte, filter string) {
	stands := uint64(0)
	exact := len(filter) > 0 && filter[len(filter)-1] == 0
	if exact {
		if t := p.book.Find(filter[:len(filter)-1]); t != nil {
			stands = t.Seq
		}
	}
	if p.cfg.LastValue {
		p.book.Matching(filter, func(t *machine.Topic) {
			if v, ok := t.Value(); ok {
				p.write(text, header{kind: value, epoch: p.epoch, seq: v.Seq}, append([][]byte{[]byte(t.Name)}, v.Body...))
			}
		})
	}
	p.write(text, header{kind: known, epoch: p.epoch, seq: stands}, nil)
}

func (p *Publisher) notice(e zmqsock.Event) {
	if e.Kind == zmqsock.Disconnected {
		p.readers.gone(e.FD)
	}
}
