package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// Peers that do not read, and services that say too much.

// TestAClientThatNeverReads is disconnected when its window and its queue at the broker are full; its slots are free again.
func TestAClientThatNeverReads(t *testing.T) {
	eachYard(t, func(y *yard) {
		before := y.broker.Counters()
		open := status(t, y.ctx, y.client).Hits
		peer := y.guest()
		body := make([]byte, yardBody/2)
		const hits = 8
		var handles [hits]uint64
		var epoch uint32
		for i := range handles {
			handles[i], epoch = peer.Open(uint64(i)+1, "echo")
		}
		for i := range uint32(32) { // 32 replies of 48 KiB are three times what the broker keeps for it
			peer.Say(toHit(wire.Call, handles[i%hits], epoch, i/hits+1), body)
			received := y.broker.Counters()["messages_received"]
			rig.Until(t, "the call has passed", func() bool { return y.broker.Counters()["messages_received"] > received+8 })
		}
		y.risen(before, "peers_hung_up")
		rig.Until(t, "its hits are closed", func() bool { return status(t, y.ctx, y.client).Hits == open })
		y.verify()
	})
}

// TestAWorkerThatNeverReads: its callers are told, and their calls never started. It is not disconnected, for that would end its other hits.
func TestAWorkerThatNeverReads(t *testing.T) {
	eachYard(t, func(y *yard) {
		r := newRogue(y, "deaf")
		before := y.broker.Counters()
		errs := make(chan error, 1<<10)
		body := make([]byte, yardBody/2)
		opens := []*assigner.Hit{r.hit}
		for range 3 {
			opened := openLater(y.ctx, y.client, "deaf")
			r.begun = r.Hear(wire.Begin)
			r.Say(r.about(wire.Opened, 0))
			o := rig.Receive(t, opened, "the open")
			require.NoError(t, o.err)
			opens = append(opens, o.hit)
		}
		ctx, giveUp := context.WithCancel(y.ctx)
		for _, h := range opens {
			for range yardCalls {
				go func() {
					_, err := h.Call(ctx, body)
					errs <- err
				}()
			}
		}
		e := requireError(t, rig.Receive(t, errs, "a refusal"), assigner.ErrPeerSlow, assigner.NeverStarted)
		require.Contains(t, e.text, "worker deaf cannot be told of call")
		require.Contains(t, e.text, "try again later, or send less at once")
		y.risen(before, "refused_peer-slow")
		giveUp()
		for range len(opens)*yardCalls - 1 {
			err := rig.Receive(t, errs, "the end of a call")
			require.True(t, errors.Is(err, assigner.ErrPeerSlow) || errors.Is(err, assigner.ErrCancelled), "%v", err)
		}
		y.verify()
	})
}

// TestServicesThatSayTooMuch: what is beyond the broker's limits is an error of the call, not of the connection. Other hits of the same worker go on.
func TestServicesThatSayTooMuch(t *testing.T) {
	eachYard(t, func(y *yard) {
		long := strings.Repeat("too long ", yardBody)
		y.site.Worker(rig.Services{"talkative": {Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
			switch string(c.Body()) {
			case "large":
				return make([]byte, yardBody+1), nil
			case "huge":
				return make([]byte, 10*yardBody), nil
			case "frames":
				for range 60 {
					c.More(nil)
				}
				return nil, nil
			case "error":
				return nil, errors.New(long)
			case "panic":
				panic(long)
			case "progress":
				c.Progress(0.5, long)
			case "why":
				return nil, &assigner.ServiceError{Text: "short", Why: []byte(`"` + long + `"`)}
			}
			return []byte("fine"), nil
		}}}, rig.Named("talkative"), rig.Slots(3))
		witness := y.openOnce("talkative")
		h := y.openOnce("talkative")
		for _, say := range []string{"large", "huge", "frames"} {
			_, err := h.Call(y.ctx, []byte(say))
			e := requireError(t, err, assigner.ErrTooLarge, assigner.ReplyLost)
			require.Contains(t, e.text, "the reply has")
			_, err = y.client.Do(y.ctx, "talkative", []byte(say))
			requireError(t, err, assigner.ErrTooLarge, assigner.ReplyLost)
		}
		for _, say := range []string{"error", "why"} {
			_, err := h.Call(y.ctx, []byte(say))
			requireError(t, err, assigner.ErrService, assigner.Finished)
		}
		requireReply(t, y.ctx, h, "progress", "fine")
		_, err := h.Call(y.ctx, []byte("panic"))
		requireError(t, err, assigner.ErrPanicked, assigner.Unknown)
		requireReply(t, y.ctx, witness, "x", "fine")
		y.verify()
	})
}

// openOnce opens a hit of the honest client.
func (y *yard) openOnce(service string) *assigner.Hit {
	y.t.Helper()
	var h *assigner.Hit
	rig.Until(y.t, "the service is offered", func() bool {
		var err error
		h, err = y.client.Open(y.ctx, service)
		return err == nil
	})
	return h
}

// TestClientsThatSayTooMuch: the library refuses before the broker has to.
func TestClientsThatSayTooMuch(t *testing.T) {
	eachYard(t, func(y *yard) {
		h := y.openOnce("echo")
		_, err := h.Call(y.ctx, make([]byte, yardBody+1))
		require.Contains(t, requireError(t, err, assigner.ErrTooLarge, assigner.NeverStarted).text, fmt.Sprintf("the body has %d bytes, the broker takes %d", yardBody+1, yardBody))
		_, err = y.client.Do(y.ctx, "echo", make([]byte, 10*yardBody))
		requireError(t, err, assigner.ErrTooLarge, assigner.NeverStarted)
		_, err = h.CallWith(y.ctx, assigner.Request{Frames: many(61, "x")})
		require.Contains(t, requireError(t, err, assigner.ErrProtocol, assigner.NeverStarted).text, "the body has 61 frames, at most 60 are possible")
		_, err = y.client.OpenWith(y.ctx, assigner.OpenRequest{Service: "echo", Session: strings.Repeat("s", 10*yardBody)})
		require.Contains(t, requireError(t, err, assigner.ErrProtocol, assigner.NeverStarted).text, "at most 65536 are possible")
		_, err = y.client.OpenWith(y.ctx, assigner.OpenRequest{Service: "echo", Label: strings.Repeat("l", 129)})
		require.Contains(t, requireError(t, err, assigner.ErrProtocol, assigner.NeverStarted).text, "Label has 129 bytes")
		_, err = y.client.Open(y.ctx, "e cho")
		requireError(t, err, assigner.ErrProtocol, assigner.NeverStarted)
		_, err = y.client.OpenWith(y.ctx, assigner.OpenRequest{Service: "echo", Session: make(chan int)})
		require.Contains(t, requireError(t, err, assigner.ErrProtocol, assigner.NeverStarted).text, "Session has no JSON form")
		full, err := h.Call(y.ctx, bytes.Repeat([]byte{7}, yardBody)) // exactly the limit
		require.NoError(t, err)
		require.Len(t, full, yardBody)
		y.verify()
	})
}
