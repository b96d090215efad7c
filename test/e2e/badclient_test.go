package e2e_test

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// What a bad client can say. Each try has its own status, text and counter, and harms nobody.

// toHit is a header of a message about a hit.
func toHit(kind wire.Type, handle uint64, epoch, seq uint32) wire.Header {
	return wire.Header{Type: kind, Hit: handle, Epoch: epoch, Seq: seq}
}

// opener is the header of an OPEN.
func opener(ref uint64, flags wire.Flags) wire.Header {
	return wire.Header{Type: wire.Open, Flags: wire.Ref | flags, Hit: ref}
}

// spoilt returns a header with one byte changed.
func spoilt(h wire.Header, at int, value byte) []byte {
	b := h.Bytes()
	b[at] = value
	return b
}

var (
	echoName = []byte("echo")
	ping     = wire.Header{Type: wire.Ping}
	bodies   = func(n int) [][]byte { return many(n, "x") }
)

// badMessages are refused before anybody looks at what they are about.
var badMessages = []struct {
	name   string
	frames [][]byte
	refusal
}{
	{"wrong magic", [][]byte{spoilt(ping, 0, 'X')}, refusal{wire.BadVersion, `the header starts with "XR"`, "this endpoint speaks HIT/1 only"}},
	{"wrong version", [][]byte{spoilt(ping, 2, 9)}, refusal{wire.BadVersion, "protocol version 9 is unknown", "use a matching client"}},
	{"truncated header", [][]byte{ping.Bytes()[:31]}, refusal{wire.BadFrame, "the header frame has 31 bytes, HIT/1 wants 32", "send the header as a frame of its own"}},
	{"empty header", [][]byte{{}, []byte("body")}, refusal{wire.BadFrame, "the header frame has 0 bytes", "send the header as a frame of its own"}},
	{"header too long", [][]byte{append(ping.Bytes(), 0)}, refusal{wire.BadFrame, "the header frame has 33 bytes", "send the header as a frame of its own"}},
	{"unknown type", [][]byte{wire.Header{Type: 200}.Bytes()}, refusal{wire.BadType, "message type 200 is unknown", "see the list of types"}},
	{"a worker's type", [][]byte{wire.Header{Type: wire.Ready}.Bytes(), []byte("{}")}, refusal{wire.BadType, "READY is not for this endpoint", "endpoints of their own"}},
	{"unknown flag", [][]byte{wire.Header{Type: wire.Ping, Flags: 0x8000}.Bytes()}, refusal{wire.BadFlag, "PING with flags 0x8000", "must be zero"}},
	{"parts", [][]byte{wire.Header{Type: wire.Ping, Part: 1}.Bytes()}, refusal{wire.BadFrame, "PING with part 1", "must be zero"}},
	{"a frame missing", [][]byte{wire.Header{Type: wire.Call, Hit: 1}.Bytes()}, refusal{wire.BadFrame, "CALL with 0 frames after the header", "at least 1 are needed"}},
	{"a frame too many", append([][]byte{ping.Bytes()}, bodies(1)...), refusal{wire.BadFrame, "PING with 1 frames after the header", "at most 0 are allowed"}},
	{"61 bodies", append([][]byte{wire.Header{Type: wire.Call, Hit: 1}.Bytes()}, bodies(61)...), refusal{wire.BadFrame, "CALL with 61 frames", "at most 60 are allowed"}},
	{"1000 bodies", append([][]byte{wire.Header{Type: wire.Call, Hit: 1}.Bytes()}, bodies(1000)...), refusal{wire.BadFrame, "CALL with 1000 frames", "at most 60 are allowed"}},
	{"first without body", [][]byte{opener(1, wire.First).Bytes(), echoName, nil}, refusal{wire.BadFrame, "OPEN with the flag first but no body", "send service, options and at least one body frame"}},
	{"body without first", [][]byte{opener(1, 0).Bytes(), echoName, nil, nil}, refusal{wire.BadFrame, "OPEN with a body but without the flag first", "set the flag or leave the body out"}},
	{"last without first", [][]byte{opener(1, wire.Last).Bytes(), echoName, nil}, refusal{wire.BadFlag, "OPEN with the flag last but without first", "only a call can be the last one"}},
	{
		"too large a body",
		[][]byte{wire.Header{Type: wire.Call, Hit: 1}.Bytes(), make([]byte, yardBody), []byte("and one more")},
		refusal{wire.TooLarge, "CALL with 98316 bytes of body: the limit is 98304 bytes", "the broker's --max-body): send less"},
	},
	{"HELLO without an object", [][]byte{wire.Header{Type: wire.Hello}.Bytes(), []byte("7")}, refusal{wire.BadFrame, "HELLO: the JSON frame is not an object", "send {} when there is nothing to say"}},
	{"HELLO with a long name", [][]byte{wire.Header{Type: wire.Hello}.Bytes(), []byte(`{"name":"` + strings.Repeat("n", 129) + `"}`)}, refusal{wire.BadFrame, "HELLO: name has 129 bytes", "at most 128 bytes"}},
	{"OPEN without ref", [][]byte{wire.Header{Type: wire.Open}.Bytes(), echoName, nil}, refusal{wire.BadFlag, "OPEN without the flag ref", "put a reference of your own into the hit field and set ref"}},
	{"OPEN of a name with a blank", [][]byte{opener(1, 0).Bytes(), []byte("e cho"), nil}, refusal{wire.BadFrame, `service name "e cho"`, "only printable ASCII without blanks is possible"}},
	{"OPEN without a name", [][]byte{opener(1, 0).Bytes(), nil, nil}, refusal{wire.BadFrame, "service name has 0 bytes", "from 1 to 128 are possible"}},
	{"OPEN with options that are no JSON", [][]byte{opener(1, 0).Bytes(), echoName, []byte("{nonsense")}, refusal{wire.BadFrame, "OPEN: the JSON frame cannot be read", "invalid character"}},
	{"OPEN with options too long", [][]byte{opener(1, 0).Bytes(), echoName, make([]byte, 65537)}, refusal{wire.BadFrame, "OPEN: options has 65537 bytes", "at most 65536 are possible"}},
	{"an unknown service", [][]byte{opener(1, 0).Bytes(), []byte("nobody"), nil}, refusal{wire.UnknownService, `no worker has offered the service "nobody"`, "start one, or correct the name"}},
	{"an unknown service at once", append([][]byte{opener(1, wire.First|wire.Last).Bytes(), []byte("nobody"), nil}, bodies(1)...), refusal{wire.UnknownService, `no worker has offered the service "nobody"`, "start one, or correct the name"}},
	{"an unknown handle", [][]byte{toHit(wire.Call, 0xDEAD, 1, 1).Bytes(), nil}, refusal{wire.UnknownHit, "CALL of hit dead, which is over or never was", "open another one"}},
	{"ADMIN that is no JSON", [][]byte{wire.Header{Type: wire.Admin}.Bytes(), []byte("status")}, refusal{wire.BadFrame, "ADMIN", "JSON"}},
}

func TestBadMessages(t *testing.T) {
	eachYard(t, func(y *yard) {
		for _, bad := range badMessages {
			y.attempt(bad.name, func(y *yard) {
				peer, before := y.guest(), y.broker.Counters()
				peer.Frames(bad.frames...)
				said := bad.require(y, peer, before)
				if strings.Contains(bad.what, "header") && !strings.Contains(bad.what, "after the header") {
					require.Zero(y.t, said.Hit, "what cannot be read is not repeated")
				}
				require.Empty(y.t, peer.Settle(), "one answer is enough, and the connection lives on")
			})
		}
	})
}

func TestBadConduct(t *testing.T) {
	eachYard(t, func(y *yard) {
		tries := []struct {
			name string
			try  func(y *yard, peer *rig.Raw)
			refusal
		}{
			{"call out of order", func(_ *yard, peer *rig.Raw) {
				handle, epoch := peer.Open(1, "echo")
				peer.Say(toHit(wire.Call, handle, epoch, 2), nil)
			}, refusal{wire.BadSeq, "call 2 of hit", "number calls one by one"}},
			{"call under an old epoch", func(_ *yard, peer *rig.Raw) {
				handle, epoch := peer.Open(1, "echo")
				peer.Say(toHit(wire.Call, handle, epoch+1, 1), nil)
			}, refusal{wire.StaleEpoch, "under epoch 2, which is over", "take the epoch from OPENED"}},
			{"call after the close", func(_ *yard, peer *rig.Raw) {
				handle, epoch := peer.Open(1, "echo")
				peer.Say(toHit(wire.Close, handle, epoch, 0))
				require.Equal(y.t, wire.OK, peer.Hear(wire.Closed).Status)
				peer.Say(toHit(wire.Call, handle, epoch, 1), nil)
			}, refusal{wire.UnknownHit, "which is over or never was", "open another one"}},
			{"call while it closes", func(y *yard, peer *rig.Raw) {
				handle, epoch := peer.Open(1, "hold")
				peer.Say(toHit(wire.Call, handle, epoch, 1), []byte("deaf"))
				y.held.awaitInside(y.t, "deaf")
				peer.Say(toHit(wire.Close, handle, epoch, 0))
				peer.Say(toHit(wire.Call, handle, epoch, 2), nil)
				y.t.Cleanup(func() { y.held.free("deaf"); peer.Hear(wire.Closed); y.held.reset("deaf") })
			}, refusal{wire.IsClosed, "is closing", "open another one"}},
			{"too many calls", func(y *yard, peer *rig.Raw) {
				handle, epoch := peer.Open(1, "hold")
				for i := range uint32(yardCalls + 1) {
					peer.Say(toHit(wire.Call, handle, epoch, i+1), []byte("wait"))
				}
			}, refusal{wire.QueueFull, "has 4 calls under way, the limit is 4 (the broker's --max-calls)", "wait for answers"}},
			{"a foreign handle", func(y *yard, peer *rig.Raw) {
				handle, epoch := y.guest().Open(1, "echo")
				peer.Say(toHit(wire.Call, handle, epoch, 1), nil)
			}, refusal{wire.NotOwner, "belongs to another connection", "use the handle only where OPENED brought it"}},
			{"the close of a foreign handle", func(y *yard, peer *rig.Raw) {
				owner := y.guest()
				handle, epoch := owner.Open(1, "echo")
				peer.Say(toHit(wire.Close, handle, epoch, 0))
				peer.Say(toHit(wire.Call, handle, epoch, 1), []byte("mine?"))
				owner.Say(toHit(wire.Call, handle, epoch, 1), []byte("mine!"))
				require.Equal(y.t, "mine!", owner.Hear(wire.Reply).Text(), "the owner has noticed nothing")
			}, refusal{wire.NotOwner, "belongs to another connection", "use the handle only where OPENED brought it"}},
		}
		for _, bad := range tries {
			y.attempt(bad.name, func(y *yard) {
				peer, before := y.guest(), y.broker.Counters()
				bad.try(y, peer)
				bad.require(y, peer, before)
			})
		}
	})
}

func TestStrangers(t *testing.T) {
	eachYard(t, func(y *yard) {
		y.attempt("OPEN before HELLO", func(y *yard) {
			peer, before := y.stranger(), y.broker.Counters()
			peer.Say(opener(1, 0), echoName, nil)
			refusal{wire.NotRegistered, "OPEN from a connection that has not said HELLO or READY", "register first"}.require(y, peer, before)
			peer.Hello().Open(2, "echo")
		})
		y.attempt("an identity of its own", func(y *yard) {
			peer := rig.NewRaw(y.t, y.site.Clients, func(c *zmqsock.Config) { c.Identity = "honest" })
			before := y.broker.Counters()
			peer.Say(wire.Header{Type: wire.Hello}, []byte("{}"))
			refusal{wire.BadIdentity, `has chosen its own routing id "honest"`, "leave ZMQ_ROUTING_ID unset"}.require(y, peer, before)
		})
		y.attempt("a stranger that does not listen", func(y *yard) {
			peer, before := y.stranger(), y.broker.Counters()
			for range 100 {
				peer.Say(opener(1, 0), echoName, nil)
			}
			y.risen(before, "strangers_ignored")
		})
		y.attempt("a frame beyond what libzmq lets in", func(y *yard) {
			peer, before := y.guest(), y.broker.Counters()
			peer.Say(toHit(wire.Call, 1, 1, 1), make([]byte, 3*yardBody))
			y.risen(before, "peers_lost")
		})
		y.attempt("noise", func(y *yard) {
			network, address, _ := strings.Cut(y.site.Clients, "://")
			if network == "ipc" {
				network = "unix"
			}
			for range 5 {
				conn, err := net.Dial(network, address)
				require.NoError(y.t, err)
				_, err = conn.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 100))
				require.NoError(y.t, err)
				_, _ = conn.Read(make([]byte, 64))
				require.NoError(y.t, conn.Close())
			}
		})
	})
}

// TestTheSmallestBodies: zero bytes are as good as any.
func TestTheSmallestBodies(t *testing.T) {
	eachYard(t, func(y *yard) {
		peer := y.guest()
		handle, epoch := peer.Open(1, "echo")
		peer.Say(toHit(wire.Call, handle, epoch, 1), nil)
		said := peer.Hear(wire.Reply)
		require.Len(y.t, said.Frames, 1)
		require.Empty(y.t, said.Frames[0])
		peer.Say(toHit(wire.Call, handle, epoch, 2), make([][]byte, 60)...)
		require.Len(y.t, peer.Hear(wire.Reply).Frames, 60)
		y.verify()
	})
}
