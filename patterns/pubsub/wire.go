package pubsub

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// PUBSUB/2 (docs/patterns.md). An update is: topic with its terminator, header and the first frame of the body, in one frame; further frames of the body. A request is a subscription to a text that begins with 0xff; its answers
// begin with that text as their topic.
const (
	reserved  = 0xfe
	beatTopic = "\xfe"
	know      = "\xffKNOW" // nonce, blank, name, zero byte, filter
	past      = "\xffPAST" // nonce, blank, publisher, blank, from, blank, to, zero byte, topic
	again     = "again"    // a nonce that begins so: it was asked before, and nothing came
	lostWord  = "LOST "    // name, blank, count: a message of an XSUB, not a subscription

	magic     = "TPS2"
	headerLen = 24
	maxName   = 64
	maxAsk    = 600 // bytes of a request
)

// The kinds of a header.
const (
	update    = 1 // live
	value     = 2 // an answer: the topic's last update
	kept      = 3 // an answer: out of the history
	over      = 4 // an answer: no more of the history; Seq is the last one asked for
	known     = 5 // the last answer: the publisher knows of the subscription; Seq is where the topic stands, if it is one
	heard     = 6 // the same, while others of a forwarder's publishers have not answered yet
	heartbeat = 7 // Seq counts all updates
)

// header is the second frame of an answer, and stands in the first one of an update.
type header struct {
	kind  byte
	bare  bool   // there is no body
	epoch uint64 // random, of one run of a publisher
	seq   uint64
}

func (h header) bytes() (b [headerLen]byte) {
	copy(b[:], magic)
	b[4] = h.kind
	if h.bare {
		b[5] = 1
	}
	binary.BigEndian.PutUint64(b[8:], h.epoch)
	binary.BigEndian.PutUint64(b[16:], h.seq)
	return b
}

// parseHeader reports false for what is none, as the second frame of a plain publisher.
func parseHeader(b []byte) (header, bool) {
	if len(b) != headerLen || string(b[:4]) != magic || b[4] < update || b[4] > heartbeat {
		return header{}, false
	}
	return header{b[4], b[5]&1 == 1, binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}, true
}

// splitUpdate takes the first frame of an update apart, and reports false for what is none.
func splitUpdate(first []byte) (topic []byte, h header, body []byte, ok bool) {
	n := bytes.IndexByte(first, 0)
	if n < 1 || len(first) < n+1+headerLen {
		return nil, header{}, nil, false
	}
	h, ok = parseHeader(first[n+1 : n+1+headerLen])
	return first[:n], h, first[n+1+headerLen:], ok && h.kind == update
}

// knowRequest and pastRequest are the texts of requests.
func knowRequest(nonce, name, filter string) string {
	return know + nonce + " " + name + "\x00" + filter
}

func pastRequest(nonce string, epoch, from, to uint64, topic string) string {
	return fmt.Sprintf("%s%s %x %d %d\x00%s", past, nonce, epoch, from, to, topic)
}

// request is a request that was understood.
type request struct {
	know     bool
	again    bool
	name     string
	filter   string // of know, a topic with its terminator or a prefix
	epoch    uint64
	from, to uint64
	topic    string
}

// parseRequest reports false for what is no request, or a wrong one.
func parseRequest(text []byte) (r request, ok bool) {
	head, rest, found := bytes.Cut(text, []byte{0})
	if !found || len(text) > maxAsk || len(head) < len(know)+1 {
		return r, false
	}
	words := strings.Split(string(head[len(know):]), " ")
	switch string(head[:len(know)]) {
	case know:
		if len(words) != 2 || len(words[0]) < 8 || len(words[1]) > maxName {
			return r, false
		}
		return request{know: true, again: strings.HasPrefix(words[0], again), name: words[1], filter: string(rest)}, true
	case past:
		if len(words) != 4 || len(words[0]) < 8 {
			return r, false
		}
		var errs [3]error
		r.epoch, errs[0] = strconv.ParseUint(words[1], 16, 64)
		r.from, errs[1] = strconv.ParseUint(words[2], 10, 64)
		r.to, errs[2] = strconv.ParseUint(words[3], 10, 64)
		r.topic = string(rest)
		return r, errs == [3]error{} && r.from > 0 && r.to >= r.from
	}
	return r, false
}

func fmtLost(name string, n uint64) []byte { return fmt.Appendf(nil, "%s%s %d", lostWord, name, n) }

// parseLost reads a subscriber's report of losses.
func parseLost(said []byte) (name string, n uint64, ok bool) {
	words := bytes.Split(said, []byte(" "))
	if len(words) != 3 || string(words[0])+" " != lostWord || len(words[1]) > maxName {
		return "", 0, false
	}
	n, err := strconv.ParseUint(string(words[2]), 10, 64)
	return string(words[1]), n, err == nil
}
