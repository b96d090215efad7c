package actors

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// surveyed is the broker's tree, for who has asked for it.
type surveyed struct {
	to   wire.Peer
	head wire.Header
	tree wire.TreeNode
	err  error
}

var errNotListed = errors.New("it is being listed by too many already, or nobody lists it here: ask again")

// survey has the tree listed, by somebody who may wait for the actors of this loop.
func (a *brokerActor) survey(self *actor.PID, e *machine.Effect) {
	answer := &surveyed{to: e.To, head: e.Header}
	if list := a.house.ports.Tree; list == nil || !list(func(tree wire.TreeNode, err error) {
		answer.tree, answer.err = tree, err
		a.house.system.Root.Send(self, answer)
	}) {
		_ = a.house.ports.Outbox.Send(e.To, e.Header, wire.JSON(a.broker.Tree(wire.TreeNode{}, errNotListed)))
	}
}
