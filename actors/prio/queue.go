// Package prio is a priority queue whose items know where they stand in it, so that one can be moved or taken out in O(log n) (the binary heap of
// Williams, Algorithm 232, 1964, as container/heap has it). It is pure, and not safe for concurrent use.
package prio

import "container/heap"

// Queue holds items of which the first one, by the order it was made with, is at hand.
type Queue[T any] struct{ items items[T] }

// New returns an empty queue. Before says which of two items is earlier; at says where an item keeps its place, which is the queue's, and is -1 while
// the item is in no queue: set it so before the first Fix or Remove.
func New[T any](before func(a, b T) bool, at func(T) *int) Queue[T] {
	return Queue[T]{items[T]{before: before, at: at}}
}

// Len returns how many items there are.
func (q *Queue[T]) Len() int { return len(q.items.all) }

// First returns the first item; the queue must not be empty.
func (q *Queue[T]) First() T { return q.items.all[0] }

// Fix puts an item where it belongs, after its order has changed or when it is new.
func (q *Queue[T]) Fix(x T) {
	if i := *q.items.at(x); i >= 0 {
		heap.Fix(&q.items, i)
		return
	}
	heap.Push(&q.items, x)
}

// Remove takes an item out, if it is in.
func (q *Queue[T]) Remove(x T) {
	if i := *q.items.at(x); i >= 0 {
		heap.Remove(&q.items, i)
	}
}

// items is the heap.
type items[T any] struct {
	all    []T
	before func(a, b T) bool
	at     func(T) *int
}

// Len is heap.Interface's.
func (h *items[T]) Len() int { return len(h.all) }

// Less is heap.Interface's.
func (h *items[T]) Less(i, j int) bool { return h.before(h.all[i], h.all[j]) }

// Swap is heap.Interface's.
func (h *items[T]) Swap(i, j int) {
	h.all[i], h.all[j] = h.all[j], h.all[i]
	*h.at(h.all[i]), *h.at(h.all[j]) = i, j
}

// Push is heap.Interface's.
func (h *items[T]) Push(x any) {
	item, _ := x.(T)
	*h.at(item) = len(h.all)
	h.all = append(h.all, item)
}

// Pop is heap.Interface's.
func (h *items[T]) Pop() any {
	n := len(h.all) - 1
	x := h.all[n]
	var none T
	h.all[n] = none
	h.all = h.all[:n]
	*h.at(x) = -1
	return x
}
