//go:build cgo

package zmqsock

/*
#include "shim.h"
*/
import "C"

import "sync"

// keepMemory is what glibc's allocator is told once, by the first context of the process: large messages are made and freed by different threads all the
// time, and with its defaults each costs a system call and a page fault for every 4 KiB. MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_ of the
// environment take precedence.
var keepMemory = sync.OnceFunc(func() { C.tr_keep_memory() })
