//go:build cgo

package zmqsock

import (
	"encoding/binary"
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// The tables of a batch live in memory of C's allocator, which hands out rubbish. Go's write barrier would take rubbish that looks like an address
// of Go's heap for a pointer, and end the process.
func TestFreshMemoryHoldsNoPointers(t *testing.T) {
	rubbish := deadAddresses(2000)
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				runtime.GC() // the barrier is on while it marks
			}
		}
	})
	defer wg.Wait()
	defer close(done)
	s := &Socket{}
	for range 300 {
		o := NewOut()
		o.Add(s, nil, false)
		for range 8 {
			o.Append(rubbish)
		}
		o.Free()
		for i := range 300 {
			o.Add(s, nil, true)
			o.Append([]byte{byte(i)})
		}
		require.Equal(t, 300, o.Len())
		o.Free()
	}
}

// deadAddresses returns addresses of Go's heap where nothing lives any more.
func deadAddresses(n int) []byte {
	var all []byte
	kept := make([][]byte, n)
	for i := range kept {
		kept[i] = make([]byte, 40<<10)
		all = binary.NativeEndian.AppendUint64(all, uint64(uintptr(unsafe.Pointer(&kept[i][0]))))
	}
	clear(kept)
	runtime.GC()
	runtime.GC()
	return all
}
