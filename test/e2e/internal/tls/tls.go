// Package tls gives tests what a native library has that belongs to one thread: a thread-local value, and calls that block their
// thread without Go's knowledge.
package tls

/*
#include "tls.h"
*/
import "C"

// Set gives the calling thread's value. A thread that never called it has the value 0.
func Set(value uint64) { C.troupe_tls_set(C.uint64_t(value)) }

// Get returns the calling thread's value.
func Get() uint64 { return uint64(C.troupe_tls_get()) }

// Thread returns the calling thread's id in the operating system, as the kernel says it, not as the product does.
func Thread() int { return int(C.troupe_tls_thread()) }

// Block keeps the calling thread in native code until a byte or the end comes from the descriptor, which must be in blocking mode. Neither Go nor a context
// can interrupt it.
func Block(fd int) { C.troupe_tls_block(C.int(fd)) }
