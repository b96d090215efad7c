package supervision

import (
	"bytes"
	"fmt"
	"runtime"
)

// StackOf returns the stack of the goroutine that is within the given method
// of receiver, a pointer, or nil if it cannot be told. The frame is the method
// as tracebacks write it, say "bridge.(*Loop).turn"; it must not be inlined,
// and need its receiver until it returns, or the traceback may not know that:
// then the goroutine is found only if it is the one that is within the method
// at all. So nobody pays for being found but who is looked for. The world stops
// meanwhile, for some 10 us for each goroutine there is.
func StackOf(frame string, receiver any) []byte {
	method := []byte(frame + "(")
	head := fmt.Appendf(nil, "%s(%p", frame, receiver)
	var within [][]byte
	for _, stack := range bytes.Split(allStacks(), []byte("\n\n")) {
		if at := bytes.Index(stack, head); at >= 0 {
			if end := at + len(head); end < len(stack) && bytes.IndexByte([]byte(",)"), stack[end]) >= 0 {
				return bytes.Clone(stack)
			}
		}
		if bytes.Contains(stack, method) {
			within = append(within, stack)
		}
	}
	if len(within) == 1 {
		return bytes.Clone(within[0])
	}
	return nil
}

// maxStacks bounds the memory that StackOf takes for a moment.
const maxStacks = 64 << 20

func allStacks() []byte {
	for size := 256 << 10; ; size *= 4 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size >= maxStacks {
			return buf[:n]
		}
	}
}
