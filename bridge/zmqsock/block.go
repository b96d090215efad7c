//go:build cgo

package zmqsock

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import "unsafe"

// Block is a frame's bytes outside of Go's heap: memory to fill, which libzmq then sends from, or a received frame that was taken out of its batch.
// Neither way are they copied. It has one owner at a time, on any goroutine, who gives it to an Out or frees it.
type Block struct {
	data []byte
	msg  *C.zmq_msg_t // of a received frame
	raw  unsafe.Pointer
}

// NewBlock returns n bytes of memory to fill. Its content is undefined. It panics when memory is exhausted, as Go's allocator does.
func NewBlock(n int) *Block {
	p := C.malloc(C.size_t(max(n, 1)))
	if p == nil {
		panic("zmqsock: out of memory")
	}
	return &Block{raw: p, data: unsafe.Slice((*byte)(p), n)}
}

// Bytes returns the memory. It must not be touched after Free, nor after the block was given to an Out.
func (b *Block) Bytes() []byte { return b.data }

// Free gives the memory back. It does nothing the second time, or when an Out has the block.
func (b *Block) Free() {
	switch {
	case b.msg != nil:
		C.tr_msg_drop(b.msg)
	case b.raw != nil:
		C.free(b.raw)
	}
	b.data, b.msg, b.raw = nil, nil, nil
}

// Take moves frame k of message i out of the batch, which must not have been forwarded in the same batch. Frames up to Comfort, and those
// of the per-frame path, are copied. The batch's own view of the frame is void afterwards.
func (in *In) Take(i, k int) *Block {
	m := &in.msgs[i]
	at := int(m.first) + k
	if len(in.slow) > 0 {
		return copied(in.slow[at])
	}
	f := &in.frames[at]
	if f.whole == nil || f.size <= Comfort {
		return copied(frameBytes(*f))
	}
	msg := C.tr_msg_take(f)
	if msg == nil {
		panic("zmqsock: out of memory")
	}
	return &Block{msg: msg, data: unsafe.Slice((*byte)(f.data), int(f.size))}
}

func copied(b []byte) *Block {
	c := NewBlock(len(b))
	copy(c.data, b)
	return c
}

// AppendBlock adds the first n bytes of a block as a frame to the message begun last. The block is the batch's from here on, and then libzmq's: it
// is freed once, when it has been sent, refused, or the batch was reset unsent.
func (o *Out) AppendBlock(b *Block, n int) {
	f := C.tr_frame{size: C.size_t(n)}
	switch {
	case b.msg != nil && n == len(b.data):
		f.whole, f.data = b.msg, unsafe.Pointer(unsafe.SliceData(b.data))
	case b.msg != nil:
		o.Append(b.data[:n])
		b.Free()
		return
	default:
		f.whole, f.data = C.tr_msg_own(b.raw, C.size_t(n)), b.raw
		if f.whole == nil {
			panic("zmqsock: out of memory")
		}
	}
	o.owned = append(o.owned, f.whole)
	o.frame(f)
	b.data, b.msg, b.raw = nil, nil, nil
}

// disown gives up the blocks of the batch: what libzmq has taken it frees itself.
func (o *Out) disown() {
	for i, m := range o.owned {
		C.tr_msg_drop(m)
		o.owned[i] = nil
	}
	o.owned = o.owned[:0]
}
