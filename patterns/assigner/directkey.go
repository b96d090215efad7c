package assigner

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// doorkeeper judges who may shake hands at a worker's encrypted endpoint for direct hits: those whose key is made from a token that is still good.
type doorkeeper struct {
	public string   // the endpoint's own key, Z85; empty: plain
	known  sync.Map // public keys; the guard's goroutine looks at it
}

// directSecret is the CURVE secret key of a direct hit's client: nobody has it who has not got the token.
func directSecret(token []byte) string {
	return zmqsock.SecretKey(sha256.Sum256(append([]byte("HIT/1 direct "), token...)))
}

func (d *doorkeeper) knows(public string) bool {
	_, known := d.known.Load(public)
	return known
}

// curve makes the endpoint's keys, if the worker has a key for its broker and the endpoint is one to be encrypted. It runs on the loop.
func (f *front) curve() (*zmqsock.Curve, error) {
	if f.worker.cfg.Key == "" || !zmqsock.Ciphered(f.worker.cfg.DirectBind) {
		return nil, nil
	}
	pair, err := zmqsock.NewKeyPair()
	if err != nil {
		return nil, err
	}
	guard, err := f.worker.hub.loop.Guard(f.door.knows)
	if err != nil {
		return nil, err
	}
	f.door.public = pair.Public
	return &zmqsock.Curve{Secret: pair.Secret, Guard: guard}, nil
}

// directKey is the public key that READY names.
func (f *front) directKey() string {
	if f == nil {
		return ""
	}
	return f.door.public
}

// invite lets the client that has the hit's token shake hands, until dismiss.
func (p *passage) invite() {
	if p.front.door.public == "" {
		return
	}
	public, err := zmqsock.PublicKey(directSecret(p.token[:]))
	if err != nil {
		p.front.worker.hub.logger.Error("the key of a direct hit cannot be made, its client will be turned away", "error", err)
		return
	}
	p.key = public
	p.front.door.known.Store(public, true)
}

func (p *passage) dismiss() { p.front.door.known.Delete(p.key) }

// curve is how the client speaks with the worker; nil: in the clear. A client with a key does not speak in the clear where that can be overheard.
func (w *directWay) curve() (*zmqsock.Curve, error) {
	switch {
	case !zmqsock.Ciphered(w.endpoint):
		return nil, nil
	case w.key != "":
		return &zmqsock.Curve{Secret: directSecret(w.token), Server: w.key}, nil
	case w.up.cfg.Key != "":
		return nil, fmt.Errorf("the worker offers no key at %s, and this client has one for its broker: %w", w.endpoint, errPlain)
	}
	return nil, nil
}

var errPlain = errors.New("nothing is sent in the clear: give the worker a key, too")
