package machine_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestAWorkerIsAskedForItsTree(t *testing.T) {
	quote(t, "PROBE of a broker asks a worker for its supervision tree. The answer is VITALS with the same arg and `\"tree\": node`")
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	ask := func(arg uint32, worker string) {
		c.say(wire.Header{Type: wire.Admin, Arg: arg}, `{"cmd": "tree", "worker": "`+worker+`"}`)
	}
	answer := func(arg uint32) string {
		m := c.expect(wire.Report)
		require.Equal(t, arg, m.Header.Arg)
		return string(m.Frame(0))
	}
	ask(7, "nobody")
	require.Contains(t, answer(7), `no worker has the name \"nobody\"`)
	ask(8, "w")
	ask(9, "w")
	first, second := w.expect(wire.Probe).Header.Arg, w.expect(wire.Probe).Header.Arg
	c.silent()
	w.say(wire.Header{Type: wire.Vitals, Arg: second}, `{"peer": "worker", "alive": true, "tree": {"id": "root", "children": [{"id": "leaf", "mailbox": 3}]}}`)
	var got machine.TreeReport
	require.NoError(t, json.Unmarshal([]byte(answer(9)), &got))
	require.Equal(t, machine.TreeReport{Of: "w", Tree: wire.TreeNode{ID: "root", Children: []wire.TreeNode{{ID: "leaf", Mailbox: 3}}}}, got)
	w.say(wire.Header{Type: wire.Vitals, Arg: second}, `{}`)
	c.silent()
	s.tick(2 * time.Second)
	require.Contains(t, answer(8), "has not told of its tree within 2s")
	w.say(wire.Header{Type: wire.Vitals, Arg: first}, `{"tree": {}}`)
	c.silent()
	ask(10, "w")
	w.say(wire.Header{Type: wire.Vitals, Arg: w.expect(wire.Probe).Header.Arg}, `{"peer": "worker"}`)
	require.Contains(t, answer(10), "not with a tree")
	require.Zero(t, s.broker.Deadline(), "nobody is waited for")
}
