//go:build cgo

package zmqsock

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"syscall"
	"unsafe"

	zmq "github.com/pebbe/zmq4"
)

// Out collects messages and sends them in one call. Its memory is C's, so that nothing is copied twice on the way.
// One goroutine at a time may use it.
type Out struct {
	outs   []C.tr_out
	frames []C.tr_frame
	socks  []*Socket
	n, nf  int
	page   []byte // current page of the arena
	pages  []unsafe.Pointer
	spare  []unsafe.Pointer // whole pages of pageSize kept for reuse
	big    []unsafe.Pointer // pages of odd sizes, freed at Reset
	bytes  int
	owned  []*C.zmq_msg_t // blocks, until Reset
	sent   int            // by SendSome
}

const pageSize = 64 << 10

// NewOut returns an empty batch; it must be freed.
func NewOut() *Out { return &Out{} }

// Len returns the number of messages collected.
func (o *Out) Len() int { return o.n }

// Bytes returns how many bytes were copied into the batch.
func (o *Out) Bytes() int { return o.bytes }

// Add begins a message to the peer with this routing id (none on a DEALER) and returns its index. With header, Header
// gives the frame to fill.
func (o *Out) Add(s *Socket, id []byte, header bool) int {
	if o.n == len(o.outs) {
		o.growOuts()
	}
	m := &o.outs[o.n]
	m.sock, m.first, m.count, m.err, m.idlen, m.hdrlen, m.idframe = s.h, C.uint32_t(o.nf), 0, 0, 0, 0, 0
	if header {
		m.hdrlen = 32
	}
	o.socks = append(o.socks, s)
	o.n++
	switch {
	case len(id) > len(m.id):
		m.idframe = 1
		o.Append(id)
	case len(id) > 0:
		m.idlen = C.uint8_t(len(id))
		copy(unsafe.Slice((*byte)(&m.id[0]), len(id)), id)
	}
	return o.n - 1
}

// Header returns the 32 bytes of message i's header frame.
func (o *Out) Header(i int) []byte { return unsafe.Slice((*byte)(&o.outs[i].hdr[0]), 32) }

// Append adds a frame to the message begun last, copying the bytes.
func (o *Out) Append(b []byte) {
	p := o.alloc(len(b))
	copy(unsafe.Slice((*byte)(p), len(b)), b)
	o.frame(C.tr_frame{data: p, size: C.size_t(len(b))})
}

// Join adds one frame made of several pieces, copying the bytes.
func (o *Out) Join(a, b, c []byte) {
	n := len(a) + len(b) + len(c)
	p := o.alloc(n)
	to := unsafe.Slice((*byte)(p), n)
	copy(to, a)
	copy(to[len(a):], b)
	copy(to[len(a)+len(b):], c)
	o.frame(C.tr_frame{data: p, size: C.size_t(n)})
}

// Forward adds the frames of a received message, from frame `skip` on, to the message begun last. Frames over Comfort are not copied: in must
// not be cleared before Send.
func (o *Out) Forward(in *In, i, skip int) {
	m := &in.msgs[i]
	if len(in.slow) > 0 {
		for _, f := range in.slow[int(m.first)+skip : m.first+m.count] {
			o.Append(f)
		}
		return
	}
	for _, f := range in.frames[int(m.first)+skip : m.first+m.count] {
		o.frame(f)
	}
}

func (o *Out) frame(f C.tr_frame) {
	if o.nf == len(o.frames) {
		o.growFrames()
	}
	o.frames[o.nf] = f
	o.nf++
	o.outs[o.n-1].count++
}

// Send sends all messages without waiting and returns how many were refused; Err tells which. The batch is to be Reset afterwards.
func (o *Out) Send() int {
	if o.n == 0 {
		return 0
	}
	if !o.socks[0].Batched() {
		return o.sendSlow()
	}
	var frames *C.tr_frame
	if len(o.frames) > 0 {
		frames = &o.frames[0]
	}
	return int(C.tr_send(&o.outs[0], C.uint32_t(o.n), frames))
}

// Err returns why message i was refused: syscall.EHOSTUNREACH (no such peer), syscall.EAGAIN (its pipe is full), or another errno; nil if it was sent.
func (o *Out) Err(i int) error {
	if e := o.outs[i].err; e != 0 {
		return syscall.Errno(e)
	}
	return nil
}

// Reset empties the batch and keeps its memory.
func (o *Out) Reset() {
	for i := range o.socks {
		o.socks[i] = nil
	}
	o.socks, o.n, o.nf, o.bytes, o.sent = o.socks[:0], 0, 0, 0, 0
	o.spare = append(o.spare, o.pages...)
	for len(o.spare) > 4 {
		C.free(o.spare[len(o.spare)-1])
		o.spare = o.spare[:len(o.spare)-1]
	}
	for _, p := range o.big {
		C.free(p)
	}
	o.pages, o.big, o.page = o.pages[:0], o.big[:0], nil
	if len(o.owned) > 0 {
		o.disown()
	}
}

// Free gives all memory back. The batch is empty afterwards and may be used again, and freed again.
func (o *Out) Free() {
	o.Reset()
	for _, p := range o.spare {
		C.free(p)
	}
	if len(o.outs) > 0 {
		C.free(unsafe.Pointer(&o.outs[0]))
	}
	if len(o.frames) > 0 {
		C.free(unsafe.Pointer(&o.frames[0]))
	}
	*o = Out{}
}

func (o *Out) alloc(n int) unsafe.Pointer {
	o.bytes += n
	if n > pageSize/4 {
		p := C.malloc(C.size_t(n))
		o.big = append(o.big, p)
		return p
	}
	n = max((n+7)&^7, 8)
	if len(o.page) < n {
		o.newPage()
	}
	p := unsafe.Pointer(&o.page[0])
	o.page = o.page[n:]
	return p
}

func (o *Out) newPage() {
	var p unsafe.Pointer
	if k := len(o.spare); k > 0 {
		p, o.spare = o.spare[k-1], o.spare[:k-1]
	} else {
		p = C.malloc(pageSize)
	}
	o.pages = append(o.pages, p)
	o.page = unsafe.Slice((*byte)(p), pageSize)
}

func (o *Out) growOuts() { o.outs = grow(o.outs, 64) }

func (o *Out) growFrames() { o.frames = grow(o.frames, 128) }

// grow doubles a table in C memory. What is new is zeroed: Go's write barrier looks at the old value of a pointer it overwrites, and takes
// the rubbish in fresh C memory for a pointer of Go's.
func grow[T any](old []T, least int) []T {
	n := max(2*len(old), least)
	size := unsafe.Sizeof(*new(T))
	p := C.realloc(unsafe.Pointer(unsafe.SliceData(old)), C.size_t(uintptr(n)*size))
	if p == nil {
		panic("zmqsock: out of memory") // as Go's own allocator does
	}
	table := unsafe.Slice((*T)(p), n)
	clear(unsafe.Slice((*byte)(unsafe.Pointer(&table[len(old)])), uintptr(n-len(old))*size))
	return table
}

// sendSlow is Send over the binding's per-frame calls.
func (o *Out) sendSlow() int {
	refused := 0
	for i := range o.n {
		m := &o.outs[i]
		if m.err = sendParts(o.socks[i].s, o.parts(i)); m.err != 0 {
			refused++
		}
	}
	return refused
}

// parts returns all frames of message i in their order on the wire.
func (o *Out) parts(i int) [][]byte {
	m := &o.outs[i]
	var parts [][]byte
	frames := o.frames[m.first : m.first+m.count]
	if m.idlen > 0 {
		parts = append(parts, unsafe.Slice((*byte)(&m.id[0]), int(m.idlen)))
	}
	if m.idframe > 0 {
		parts, frames = append(parts, frameBytes(frames[0])), frames[1:]
	}
	if m.hdrlen > 0 {
		parts = append(parts, o.Header(i))
	}
	for _, f := range frames {
		parts = append(parts, frameBytes(f))
	}
	return parts
}

func frameBytes(f C.tr_frame) []byte { return unsafe.Slice((*byte)(f.data), int(f.size)) }

// sendParts goes on with the next message after a refusal, which concerns the first frame only: libzmq takes a message whole or not at all.
func sendParts(s *zmq.Socket, parts [][]byte) C.int32_t {
	for k, p := range parts {
		flags := zmq.DONTWAIT
		if k < len(parts)-1 {
			flags |= zmq.SNDMORE
		}
		if _, err := s.SendBytes(p, flags); err != nil {
			return C.int32_t(zmq.AsErrno(err))
		}
	}
	return 0
}
