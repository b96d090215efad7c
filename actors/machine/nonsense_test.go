package machine_test

import (
	"fmt"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// What the bridge lets through to actors, by side.
var (
	fromClients = []wire.Type{wire.Hello, wire.Open, wire.Call, wire.Cancel, wire.Close, wire.Pong, wire.Admin, wire.Bye, wire.Error}
	fromWorkers = []wire.Type{wire.Ready, wire.Opened, wire.Reply, wire.Working, wire.Error, wire.Ended, wire.Changed, wire.Pong, wire.Bye}
)

var texts = []string{
	"", "{}", "a", "b", "nobody's", `{"services":["a"],"slots":2,"busy":1}`, `{"services":["a","b","a"],"slots":1,"name":"x"}`,
	`{"slots":0}`, `{"slots":3,"slots_max":5}`, `{"services":["a"],"slots":0,"slots_max":4}`, `{"label":"me"}`, `{"cmd":"hit.list"}`, `{"cmd":"status"}`, `{"cmd":"worker.list"}`, "{", `{"slots":-1}`, "\x00",
}

// nonsense is a message that HIT/1 allows and nobody would say, nil if chance did not hit one.
func (w *world) nonsense(types []wire.Type) *wire.Message {
	h := wire.Header{
		Type: types[w.draw(len(types), "type")], Flags: wire.Flags(w.draw(4, "flags")), Status: wire.Status(w.draw(30, "status")),
		Hit: w.someHandle(), Seq: uint32(w.draw(5, "seq")), Arg: uint32(w.draw(4, "arg")),
	}
	if w.chance(3, "by reference") {
		h.Flags |= wire.Ref
	}
	h.Epoch = uint32(w.draw(3, "epoch"))
	if w.chance(2, "the right epoch") {
		for _, x := range w.broker.AllHits() {
			if x.Handle == h.Hit {
				h.Epoch = x.Assignment
			}
		}
	}
	var frames [][]byte
	for range w.draw(4, "frames") {
		text := texts[w.draw(len(texts), "frame")]
		if text == `{"cmd":"hit.list"}` && w.chance(2, "kill") {
			text = fmt.Sprintf(`{"cmd":"hit.kill","hit":"%x"}`, h.Hit)
		}
		frames = append(frames, []byte(text))
	}
	if h.Check(len(frames)) != nil {
		return nil
	}
	return wire.NewMessage(h, frames...)
}

// someHandle is one that means something to somebody, often.
func (w *world) someHandle() uint64 {
	hits := w.broker.AllHits()
	switch n := w.draw(4, "which handle"); {
	case n == 0 || n == 3 && len(hits) == 0:
		return 0
	case n == 1:
		return uint64(w.draw(6, "reference"))
	case n == 2:
		return w.stage.handles.next - uint64(w.draw(2, "last or none"))
	}
	return hits[w.draw(len(hits), "hit")].Handle
}
