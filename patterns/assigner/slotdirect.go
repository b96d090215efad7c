package assigner

import (
	"fmt"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// sendDirect sends what a slot of a direct hit says: answers to the client, all else to the broker. An answer that ends the hit is told the
// broker by ENDED.
func (s *slot) sendDirect(h wire.Header, body [][]byte) {
	switch {
	case h.Type == wire.Opened:
		s.direct.stands.Store(int64(max(s.worker.hub.loop.Now(), 1)))
	case carries(&h):
		s.direct.send(&h, body...)
		if !h.Flags.Has(wire.Last) {
			return
		}
		h, body = wire.Header{Type: wire.Ended, Hit: s.handle, Epoch: s.epoch, Arg: s.begun}, nil
	}
	s.from.sendOn(s.peer, &h, body...)
}

// sendBlockDirect sends a part of a reply to the client; the last one of a hit is told the broker by ENDED.
func (s *slot) sendBlockDirect(h *wire.Header, b *zmqsock.Block, n int) error {
	if err := s.direct.sendBlock(h, b, n); err != nil || !h.Flags.Has(wire.Last) {
		return err
	}
	s.from.sendOn(s.peer, &wire.Header{Type: wire.Ended, Hit: s.handle, Epoch: s.epoch, Arg: s.begun})
	return nil
}

// checkDirect judges the fields for direct hits.
func (c *WorkerConfig) checkDirect() error {
	if c.DirectBind == "" {
		if c.DirectAdvertise != "" {
			return fmt.Errorf("assigner: WorkerConfig.DirectAdvertise is %q, but DirectBind is empty: name the endpoint to bind, too", c.DirectAdvertise)
		}
		return nil
	}
	if err := zmqsock.CheckEndpoint("bind", c.DirectBind); err != nil {
		return err
	}
	if !c.Insecure && c.Key == "" && !zmqsock.Local(c.DirectBind) {
		return &zmqsock.EndpointError{
			Op: "bind", Endpoint: c.DirectBind, Err: ErrInsecure,
			Remedy: "bind to 127.0.0.1, ipc or inproc, give the worker a key for its broker (--key), or insist with --insecure (WorkerConfig.Insecure) on a network you trust",
		}
	}
	return nil
}
