package bridge

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// letter is what a message in out was made of, so that it can become a dead letter; without pid it is the endpoint's own.
type letter struct {
	peer    *plainPeer
	pid     *actor.PID
	message any // as it was sent, envelope included
}

var errPeerFull = errors.New("bridge: the peer does not read: PlainConfig.Queue messages wait for it")

// post writes a message to an identity. It is safe for use from any goroutine; the bytes are copied. The error is wire.ErrNoPeer or errPeerFull.
func (p *Plain) post(identity string, pid, sender *actor.PID, message any, body [][]byte) error {
	p.mu.Lock()
	peer := p.peers[identity]
	if peer == nil || p.closed {
		p.mu.Unlock()
		p.stats.Absent.Add(1)
		return wire.ErrNoPeer
	}
	if peer.queued >= p.cfg.Queue {
		p.mu.Unlock()
		p.stats.Full.Add(1)
		return errPeerFull
	}
	first := p.out.Len() == 0
	err := p.write(peer, letter{peer, pid, message}, p.returnAddress(peer, sender), body)
	p.mu.Unlock()
	if first {
		p.loop.q.rouse()
	}
	return err
}

// write adds a message to the batch; p.mu is held.
func (p *Plain) write(peer *plainPeer, l letter, addr []byte, body [][]byte) error {
	if peer.queued >= p.cfg.Queue {
		return errPeerFull
	}
	l.peer = peer
	peer.queued++
	peer.sent = true
	p.out.Add(p.sock, peer.id, false)
	p.out.Append(addr)
	for _, b := range body {
		p.out.Append(b)
	}
	p.letters = append(p.letters, l)
	return nil
}

func (p *Plain) pending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Len() > 0
}

// flush sends what was written since, and returns how many messages. It runs on the loop.
func (p *Plain) flush() int {
	p.mu.Lock()
	n := p.out.Len()
	if n == 0 {
		p.mu.Unlock()
		return 0
	}
	p.out, p.back = p.back, p.out
	letters := p.letters
	p.letters = p.spare[:0]
	for i := range letters {
		letters[i].peer.queued = 0
	}
	p.mu.Unlock()
	refused := p.back.Send()
	for i := 0; refused > 0 && i < n; i++ {
		if err := p.back.Err(i); err != nil {
			p.refused(&letters[i], err)
		}
	}
	p.back.Reset()
	clear(letters)
	p.spare = letters
	p.loop.stats.Sent.Add(uint64(n - refused))
	p.loop.stats.Unsent.Add(uint64(refused))
	return n
}

// refused deals with a message that libzmq did not take.
func (p *Plain) refused(l *letter, err error) {
	switch {
	case errors.Is(err, syscall.EHOSTUNREACH):
		p.stats.Absent.Add(1)
		p.giveUp(l.peer, "unreachable", "a message to it was refused: no connection has its identity any more")
	case l.pid == nil && errors.Is(err, syscall.EAGAIN):
		return // a probe that finds the pipe full has found the peer
	default:
		p.stats.Full.Add(1)
	}
	if l.pid != nil {
		p.system.DeadLetter.SendUserMessage(l.pid, l.message)
	}
}

// returnAddress says what a message's first frame is: where an answer goes to. p.mu is held.
func (p *Plain) returnAddress(peer *plainPeer, sender *actor.PID) []byte {
	if sender == nil {
		return nil
	}
	if name, ok := p.names.of(sender); ok {
		return []byte(name)
	}
	return []byte(peer.replies.ask(sender, p.nextReturn, p.alive))
}

// randomBase returns where the numbers of a run begin: 40 random bits.
func randomBase() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:]) >> 24 << 20
}

// nextReturn makes a return address that this endpoint never gave before, nor, but for chance, an earlier run: an answer
// that comes too late reaches nobody.
func (p *Plain) nextReturn() string {
	p.returned++
	return fmt.Sprintf("%c%x", reserved, p.return0+p.returned)
}
