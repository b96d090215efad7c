package pipeline

import (
	"encoding/binary"
	"strconv"
)

// PIPE/1 (docs/patterns.md): the first frame is a word. Entries are batch and index, 8 bytes each, big endian.
const (
	wordReady = "READY" // worker to ventilator: name, credit (decimal)
	wordDone  = "DONE"  // worker to ventilator: entries
	wordBye   = "BYE"   // worker to ventilator
	wordSink  = "SINK"  // sink to ventilator: endpoint, token; ventilator to worker: endpoint
	wordGot   = "GOT"   // sink to ventilator: entries
	wordStart = "START" // ventilator to all: batch, name; sink to ventilator: batch
	wordTask  = "TASK"  // ventilator to worker: entry, body
	wordEnd   = "END"   // ventilator to all: batch, count of tasks, indexes of those that are missing
	wordKill  = "KILL"  // ventilator to all: reason

	entryLen  = 16
	maxFrames = 60
	maxCredit = 1 << 16
)

// A result is PUSHed to the sink as entry, one of these, body.
const (
	statusOK    = "0"
	statusError = "1"
)

func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func appendEntry(b []byte, batch, index uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, batch), index)
}

// parseEntries calls f for each entry, and reports false for what is no list of entries.
func parseEntries(b []byte, f func(batch, index uint64)) bool {
	if len(b) == 0 || len(b)%entryLen != 0 {
		return false
	}
	for ; len(b) > 0; b = b[entryLen:] {
		f(binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]))
	}
	return true
}

func parseCredit(b []byte) (int, bool) {
	n, err := strconv.Atoi(string(b))
	return n, err == nil && n > 0 && n <= maxCredit
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
