package program

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Framing says how calls and replies are told apart in the streams of a program.
type Framing int

const (
	// Lines says that a call is a line, and so is its reply. Bodies have no line breaks.
	Lines Framing = iota
	// Blocks says that a call is a block, and so is its reply: four bytes with the length, in network byte order, and as many bytes. A
	// reply whose length has the highest bit set is the text of an error.
	Blocks
)

const errorBit = 1 << 31

// reply is what a program said.
type reply struct {
	body   []byte
	failed bool // body is the text of an error
}

// errBody is the cause of the error for a body that cannot be framed; the session is not harmed.
var errBody = errors.New("the call was not given to the program")

// encode returns what the program reads for the frames of a call.
func (f Framing) encode(frames [][]byte) ([]byte, error) {
	if len(frames) != 1 {
		return nil, fmt.Errorf("%w: its body has %d frames, and programs take one", errBody, len(frames))
	}
	body := frames[0]
	if f == Blocks {
		if len(body) >= errorBit {
			return nil, fmt.Errorf("%w: its body has %d bytes, a block has less than 2 GiB", errBody, len(body))
		}
		return append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body))), body...), nil
	}
	if bytes.IndexByte(body, '\n') >= 0 {
		return nil, fmt.Errorf("%w: its body has a line break, which ends a call with --framing lines: use --framing blocks", errBody)
	}
	return append(append(make([]byte, 0, len(body)+1), body...), '\n'), nil
}

// decode reads one reply of at most limit bytes. The error is io.EOF at the end of the stream.
func (f Framing) decode(r *bufio.Reader, limit int) (reply, error) {
	if f == Blocks {
		return decodeBlock(r, limit)
	}
	return decodeLine(r, limit)
}

func decodeLine(r *bufio.Reader, limit int) (reply, error) {
	line := []byte{}
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > limit+1 {
			return reply{}, fmt.Errorf("its reply is a line of more than %d bytes", limit)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return reply{body: line[:len(line)-1]}, nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return reply{body: line}, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return reply{}, err
		}
	}
}

func decodeBlock(r *bufio.Reader, limit int) (reply, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return reply{}, errors.New("its output ended within the length of a block")
		}
		return reply{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	failed := n&errorBit != 0
	if n &^= errorBit; uint64(n) > uint64(limit) {
		return reply{}, fmt.Errorf("its reply is a block of %d bytes, the limit is %d (do its lines begin with a length?)", n, limit)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return reply{}, fmt.Errorf("its output ended within a block of %d bytes", n)
	}
	return reply{body, failed}, nil
}
