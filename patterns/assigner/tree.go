package assigner

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/supervision"
)

// lister lists a tree of actors for those who must not wait for it. Its zero value has no tree.
type lister struct {
	tree func(context.Context) (supervision.Status, error)
	busy atomic.Int32
	all  sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

// A listing takes listTime at most; no more than maxListings are made at once.
const (
	listTime    = time.Second
	maxListings = 8
)

// list calls done with the tree, from a goroutine of its own. It returns false, and calls nobody, when the tree is being listed too often, or has ended.
func (l *lister) list(done func(wire.TreeNode, error)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.tree == nil || l.busy.Load() >= maxListings {
		return false
	}
	l.busy.Add(1)
	l.all.Add(1)
	go func() {
		defer l.all.Done()
		defer l.busy.Add(-1)
		ctx, cancel := context.WithTimeout(context.Background(), listTime)
		defer cancel()
		status, err := l.tree(ctx)
		done(treeNode(status), err)
	}()
	return true
}

// close waits for what is being listed, which is bounded by its time.
func (l *lister) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.all.Wait()
}

// treeNode is a status as wires carry it.
func treeNode(s supervision.Status) wire.TreeNode {
	n := wire.TreeNode{
		ID: s.ID, Path: s.Path, State: string(s.State), Restarts: s.Restarts, Mailbox: s.Mailbox, Message: s.Message, ForMS: s.For.Milliseconds(),
		Supervisor: s.Supervisor, Late: s.Late,
	}
	if s.Last != nil {
		n.Last = s.Last.Error()
	}
	for i, c := range s.Children {
		if i == wire.MaxTreeChildren {
			n.More = len(s.Children) - i
			break
		}
		n.Children = append(n.Children, treeNode(c))
	}
	return n
}

// Tree returns the broker's supervision tree as it is: see supervision.Tree.List. It is safe for concurrent use after Start.
func (b *Broker) Tree(ctx context.Context) (supervision.Status, error) { return b.tree.List(ctx) }

// Tree returns the worker's supervision tree as it is: see supervision.Tree.List. It is safe for concurrent use after Start.
func (w *Worker) Tree(ctx context.Context) (supervision.Status, error) { return w.hub.tree.List(ctx) }

// probed answers the broker's question for the worker's tree. It runs on the loop.
func (e *enrolment) probed(m *wire.Message) {
	peer, head := m.From, wire.Header{Type: wire.Vitals, Arg: m.Header.Arg}
	e.worker.lister.list(func(tree wire.TreeNode, err error) {
		about := wire.VitalsInfo{Peer: "worker", Alive: true, By: "its loop has answered"}
		if err == nil {
			about.Tree = &tree
		}
		e.sendOn(peer, &head, wire.JSON(about))
	})
}
