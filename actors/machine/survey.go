package machine

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// TreeReport is the answer to the admin command tree.
type TreeReport struct {
	Of   string        `json:"of"` // the worker's name, or the broker's
	Tree wire.TreeNode `json:"tree"`
}

// survey is a question for a worker's tree, on behalf of somebody who administers.
type survey struct {
	asker  wire.Peer
	arg    uint32 // of the ADMIN
	nonce  uint32 // of the PROBE
	worker *Worker
	until  time.Duration
}

// Surveyed is what a worker reports when it has told of its tree.
type Surveyed struct {
	Worker *Worker
	Nonce  uint32
	Text   []byte
}

// Workers have surveyTime to tell of their trees, which takes a supervisor that hangs half a second; at most maxSurveys are asked at once.
const (
	surveyTime = 2 * time.Second
	maxSurveys = 64
)

// survey asks for the tree of a worker, or has the host tell of the broker's own. The REPORT follows.
func (b *Broker) survey(now time.Duration, m *wire.Message, r AdminRequest, fx []Effect) []Effect {
	if r.Worker == "" {
		return append(fx, Effect{Kind: Survey, To: m.From, Header: wire.Header{Type: wire.Report, Arg: m.Header.Arg}, Text: b.cfg.Name})
	}
	q := survey{asker: m.From, arg: m.Header.Arg, worker: b.names[r.Worker], until: now + surveyTime}
	switch {
	case q.worker == nil || b.workers[q.worker.Peer] != q.worker:
		return append(fx, q.report(fail("no worker has the name %q: see `troupe worker list`", r.Worker)))
	case len(b.surveys) >= maxSurveys:
		return append(fx, q.report(fail("%d workers are being asked for their trees: ask again", len(b.surveys))))
	}
	b.surveyed++
	q.nonce = b.surveyed
	b.surveys = append(b.surveys, q)
	return append(fx, send(q.worker.Peer, wire.Header{Type: wire.Probe, Arg: q.nonce}))
}

func (q survey) report(answer any) Effect {
	return send(q.asker, wire.Header{Type: wire.Report, Arg: q.arg}, mustJSON(answer))
}

// vitals takes a worker's word about itself.
func (w *Worker) vitals(_ time.Duration, m *wire.Message, fx []Effect) []Effect {
	return append(fx, Effect{Kind: Report, Event: &Surveyed{w, m.Header.Arg, slices.Clone(m.Frame(0))}})
}

// surveyAnswered passes a worker's tree on to who has asked for it.
func (b *Broker) surveyAnswered(s *Surveyed, fx []Effect) []Effect {
	i := slices.IndexFunc(b.surveys, func(q survey) bool { return q.worker == s.Worker && q.nonce == s.Nonce })
	if i < 0 {
		return fx // it has been given up
	}
	q := b.surveys[i]
	b.surveys = slices.Delete(b.surveys, i, i+1)
	var said wire.VitalsInfo
	if err := json.Unmarshal(s.Text, &said); err != nil || said.Tree == nil {
		return append(fx, q.report(fail("worker %q has answered, but not with a tree: is it of another version?", s.Worker.Name)))
	}
	return append(fx, q.report(TreeReport{s.Worker.Name, *said.Tree}))
}

// giveUpSurveys tells of the workers that have not answered in time.
func (b *Broker) giveUpSurveys(now time.Duration, fx []Effect) []Effect {
	for len(b.surveys) > 0 && b.surveys[0].until <= now {
		q := b.surveys[0]
		b.surveys = b.surveys[1:]
		fx = append(fx, q.report(fail("worker %q has not told of its tree within %v: it hangs, is gone, or its library has none to tell of: see `troupe why %s`", q.worker.Name, surveyTime, q.worker.Name)))
	}
	return fx
}

// Tree returns the report of the broker's own tree, or why there is none.
func (b *Broker) Tree(node wire.TreeNode, err error) any {
	if err != nil {
		return fail("the tree cannot be listed: %v", err)
	}
	return TreeReport{b.cfg.Name, node}
}
