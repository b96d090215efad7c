package pair

import (
	"strconv"
	"time"
)

// PAIR/1 (docs/patterns.md): the first frame is a word.
const (
	wordHello = "HELLO" // token, window: from the end that has dialed
	wordYes   = "YES"   // window: you are the other end
	wordNo    = "NO"    // reason
	wordSay   = "SAY"   // a message
	wordGot   = "GOT"   // how many were received
	wordBye   = "BYE"

	maxFrames = 40
	maxToken  = 255
	linger    = 2 * time.Second
)

func parseCount(b []byte) (int, bool) {
	n, err := strconv.Atoi(string(b))
	return n, err == nil && n > 0 && n <= maxWindow
}

// clone copies frames out of a batch, in one piece of memory.
func clone(frames [][]byte) [][]byte {
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	flat, all := make([]byte, 0, size), make([][]byte, len(frames))
	for i, f := range frames {
		from := len(flat)
		flat = append(flat, f...)
		all[i] = flat[from:len(flat):len(flat)]
	}
	return all
}
