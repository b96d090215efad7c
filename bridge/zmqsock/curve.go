//go:build cgo

package zmqsock

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"strings"

	zmq "github.com/pebbe/zmq4"
)

// Curve says how a socket's connections are encrypted (CurveZMQ, RFC 26). Keys are in Z85.
type Curve struct {
	Secret string // the socket's own secret key
	Server string // of who knocks, as a Dealer always does: the public key that the other end must prove to have
	Guard  *Guard // of who opens, as a Router always does: who may come in; without one libzmq would let everybody in
}

// KeyPair is a CURVE key pair, in Z85.
type KeyPair struct{ Public, Secret string }

// ErrNoCurve says that the libzmq that is loaded cannot encrypt.
var ErrNoCurve = errors.New("zmqsock: this libzmq was built without CURVE: install one with libsodium, as every distribution's is")

// NewKeyPair returns a fresh key pair.
func NewKeyPair() (KeyPair, error) {
	if !zmq.HasCurve() {
		return KeyPair{}, ErrNoCurve
	}
	public, secret, err := zmq.NewCurveKeypair()
	if err != nil {
		return KeyPair{}, fmt.Errorf("zmqsock: no key pair: %w", err)
	}
	return KeyPair{public, secret}, nil
}

// PublicKey returns the public key that belongs to a secret one. The error does not show the key.
func PublicKey(secret string) (string, error) {
	if !zmq.HasCurve() {
		return "", ErrNoCurve
	}
	public := ""
	if len(secret) == keyLen { // the binding does not look
		public, _ = zmq.AuthCurvePublic(secret)
	}
	if len(public) != keyLen {
		return "", fmt.Errorf("zmqsock: what should be a secret key of %d characters is none: was it copied whole?", keyLen)
	}
	return public, nil
}

const keyLen = 40 // of a key in Z85

// Ciphered reports whether connections of an endpoint are encrypted where there is a key: tcp, and abstract ipc (ipc://@name), which every user of the
// machine can reach. The paths of other ipc endpoints are guarded by the system's permissions, and inproc does not leave the process: there is
// nothing to encrypt, and libzmq does not.
func Ciphered(ep string) bool {
	return strings.HasPrefix(ep, "tcp://") || strings.HasPrefix(ep, "ipc://@")
}

func (c *Curve) validate(kind Kind) error {
	switch {
	case len(c.Secret) != keyLen:
		return fmt.Errorf("zmqsock: Curve.Secret has %d characters: a key in Z85 has %d", len(c.Secret), keyLen)
	case kind == Router && (c.Guard == nil || c.Server != ""):
		return errors.New("zmqsock: the Curve of a Router needs a Guard, and no Server: without a guard everybody would be let in")
	case kind != Router && kind != Dealer && (c.Guard == nil) == (c.Server == ""):
		return errors.New("zmqsock: a Curve needs either a Guard, for the end that lets others in, or the Server's public key, for the end that knocks")
	case kind != Router && c.Guard == nil && len(c.Server) != keyLen:
		return fmt.Errorf("zmqsock: the Curve's Server has %d characters: the server's public key in Z85 has %d", len(c.Server), keyLen)
	case kind == Dealer && (c.Guard != nil || len(c.Server) != keyLen):
		return fmt.Errorf("zmqsock: the Curve of a Dealer needs the server's public key in Z85, %d characters (it has %d), and no Guard", keyLen, len(c.Server))
	}
	return nil
}

// encrypt sets the options, before anything is bound or connected. A guard that does not answer any more makes it fail.
func (s *Socket) encrypt(c *Curve) error {
	if !zmq.HasCurve() {
		return ErrNoCurve
	}
	if c.Guard != nil {
		if err := c.Guard.Err(); err != nil {
			return fmt.Errorf("zmqsock: nothing is bound without a guard that answers: %w", err)
		}
		if err := s.s.SetZapDomain(c.Guard.domain); err != nil {
			return err
		}
		if s.h != nil || layout == nil {
			_ = C.tr_enforce(handle(s.s)) // where it cannot be, a connection that nobody has judged has no user id, and is refused by it
		}
		if err := s.s.SetCurveServer(1); err != nil {
			return err
		}
		return s.s.SetCurveSecretkey(c.Secret)
	}
	public, err := PublicKey(c.Secret)
	if err != nil {
		return err
	}
	return errors.Join(s.s.SetCurveServerkey(c.Server), s.s.SetCurvePublickey(public), s.s.SetCurveSecretkey(c.Secret))
}
