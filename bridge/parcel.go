package bridge

import (
	"sync/atomic"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// parcel is the lease of a message that was taken out of its batch. Unlike an arena's it may be released on any goroutine.
type parcel struct {
	blocks []*zmqsock.Block // one for each frame of the body
	holds  atomic.Int32
}

// Retain takes a hold.
func (p *parcel) Retain() { p.holds.Add(1) }

// Release gives a hold up; the last one frees the bytes.
func (p *parcel) Release() {
	if p.holds.Add(-1) > 0 {
		return
	}
	for _, b := range p.blocks {
		b.Free()
	}
	p.blocks = nil
}

// Detach takes a received message out of its batch: long frames are moved, short ones copied. The caller holds the one lease on what it returns, and
// may release it on any goroutine. The body of m is void. It belongs to the loop's goroutine. A message that owns its bytes is returned as it is.
func Detach(m *wire.Message) *wire.Message {
	a, ok := m.Lease.(*arena)
	if !ok {
		return m
	}
	p := &parcel{blocks: make([]*zmqsock.Block, len(m.Body))}
	p.holds.Store(1)
	d := &wire.Message{Header: m.Header, From: m.From, Size: m.Size, At: m.At, Lease: p, Body: make([][]byte, len(m.Body))}
	for i := range m.Body {
		p.blocks[i] = a.in.Take(int(m.Slot), a.skip+i)
		d.Body[i] = p.blocks[i].Bytes()
	}
	m.Body = nil
	return d
}

// putParcel gives the blocks of a message that nobody else holds to the batch.
func (o *Outbox) putParcel(p *parcel) {
	for _, b := range p.blocks {
		o.out.AppendBlock(b, len(b.Bytes()))
	}
	p.blocks = nil
}
