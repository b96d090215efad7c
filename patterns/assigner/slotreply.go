package assigner

import (
	"fmt"
	"strings"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// reply answers a call with what its service returned, or says that the broker would not take it: a reply over a limit would be refused there,
// and a frame far over it would cost the worker its connection.
func (s *slot) reply(seq uint32, last bool, first []byte, more [][]byte) {
	size := len(first)
	for _, f := range more {
		size += len(f)
	}
	h := wire.Header{Type: wire.Reply, Seq: seq}
	switch limit := s.from.maxBody.Load(); {
	case int64(size) > limit:
		s.answerError(seq, wire.TooLarge, wire.ReplyLost, fmt.Sprintf("the reply has %d bytes, the broker takes %d (its --max-body): answer in several calls", size, limit), last)
	case len(more) >= wire.MaxBodies:
		s.answerError(seq, wire.TooLarge, wire.ReplyLost, fmt.Sprintf("the reply has %d frames, at most %d are possible", len(more)+1, wire.MaxBodies), last)
	case more == nil:
		s.answer(h, last, first)
	default:
		s.answer(h, last, append([][]byte{first}, more...)...)
	}
}

// maxText is the most bytes of a text for people that a worker sends.
const maxText = 16 << 10

// clip returns a text as a frame, cut where it is too long to be read anyway, or for the broker to take.
func (s *slot) clip(text string) []byte {
	if limit := int(min(maxText, s.from.maxBody.Load())); len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "")
	}
	return []byte(text)
}
