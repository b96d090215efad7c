package reqrep

import "encoding/binary"

// REQREP/1 (docs/patterns.md): what REQ and REP say, with the number of the request as the last frame before the empty one. REP sends it back as it is, part of the
// envelope; a Server sets the status.
const (
	magic    = "TRQ"
	idLen    = 20 // magic, status, client (8), number (8)
	statusAt = 3

	statusOK   = '0'
	statusErr  = '1'
	statusBusy = '2'

	maxEnvelope = 16
	maxFrames   = 40
)

func makeID(client, number uint64) []byte {
	b := append(make([]byte, 0, idLen), magic...)
	b = append(b, statusOK)
	b = binary.BigEndian.AppendUint64(b, client)
	return binary.BigEndian.AppendUint64(b, number)
}

func isID(b []byte) bool { return len(b) == idLen && string(b[:len(magic)]) == magic }

// split returns the envelope, the empty frame excluded, and the body; false where there is no empty frame soon.
func split(frames [][]byte) (envelope, body [][]byte, ok bool) {
	for i, f := range frames[:min(len(frames), maxEnvelope)] {
		if len(f) == 0 {
			return frames[:i], frames[i+1:], true
		}
	}
	return nil, nil, false
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
