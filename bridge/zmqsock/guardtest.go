//go:build cgo

package zmqsock

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// ErrOpenDoor is the cause where a key that nobody knows was let in.
var ErrOpenDoor = errors.New("a key that nobody knows was let in")

// test knocks with a fresh key, and expects to be turned away.
func (g *Guard) test(c *Context) error {
	fail := func(err error) error {
		return fmt.Errorf("zmqsock: the test of the handler that judges keys has failed, nothing is bound: %w", err)
	}
	server, err := NewKeyPair()
	if err != nil {
		return err
	}
	stranger, err := NewKeyPair()
	if err != nil {
		return err
	}
	door, err := c.Open(Config{Kind: Router, Linger: time.Millisecond, Curve: &Curve{Secret: server.Secret, Guard: g}})
	if err != nil {
		return fail(err)
	}
	defer func() { _ = door.Close() }()
	knock, err := c.Open(Config{Kind: Dealer, Linger: time.Millisecond, Curve: &Curve{Secret: stranger.Secret, Server: server.Public}})
	if err != nil {
		return fail(err)
	}
	defer func() { _ = knock.Close() }()
	var name [8]byte
	_, _ = rand.Read(name[:])
	at, err := door.Bind("ipc://@troupe-guard-" + hex.EncodeToString(name[:]))
	if err == nil {
		err = c.Monitor(knock)
	}
	if err == nil {
		err = knock.Connect(at)
	}
	if err == nil {
		err = turnedAway(knock)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// turnedAway waits for the end of the handshake.
func turnedAway(knock *Socket) error {
	const limit = 5 * time.Second
	wake, err := NewWake()
	if err != nil {
		return err
	}
	defer func() { _ = wake.Close() }()
	poll := NewPoller(wake)
	if err := poll.Set([]*Socket{knock}); err != nil {
		return err
	}
	for until := time.Now().Add(limit); time.Now().Before(until); {
		for _, e := range knock.Events(nil) {
			switch {
			case e.Kind == Established:
				return ErrOpenDoor
			case e.Kind == Refused && e.Failure == KeyRefused:
				return nil
			case e.Kind == Refused:
				return fmt.Errorf("the handshake failed otherwise (%v)", e.Failure)
			}
		}
		if err := poll.Wait(50 * time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("no answer within %v", limit)
}
