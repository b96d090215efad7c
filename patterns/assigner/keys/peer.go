package keys

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// Make returns a fresh key of a peer for a broker: the one string to hand over, and the public key to be listed.
func Make(broker access.Key) (handed access.Handed, public access.Key, err error) {
	pair, err := zmqsock.NewKeyPair()
	if err != nil {
		return handed, public, err
	}
	secret, err := access.ParseKey(pair.Secret)
	if err != nil {
		return handed, public, err
	}
	public, err = access.ParseKey(pair.Public)
	return access.Handed{Broker: broker, Secret: secret}, public, err
}

// PublicOf returns the public key that belongs to what a peer was given.
func PublicOf(h access.Handed) (access.Key, error) {
	public, err := zmqsock.PublicKey(h.Secret.String())
	if err != nil {
		return access.Key{}, err
	}
	return access.ParseKey(public)
}

// Load returns the one string from what a user gives: the string itself, or the path of a file with it, which nobody else may be able to read. Empty stays
// empty. Errors do not show the string.
func Load(textOrFile string) (string, error) {
	text := strings.TrimSpace(textOrFile)
	if text == "" {
		return "", nil
	}
	_, err := access.ParseHanded(text)
	if err == nil {
		return text, nil
	}
	if !errors.Is(err, access.ErrNotHanded) {
		return "", err
	}
	if err := private(textOrFile, 0o077, "600"); err != nil {
		if errors.Is(err, ErrExposed) {
			return "", err
		}
		return "", fmt.Errorf("the key is neither what `troupe keys add` has printed nor a file with that (%w)", withoutPath(err))
	}
	b, err := os.ReadFile(textOrFile)
	if err != nil {
		return "", err
	}
	text = strings.TrimSpace(string(b))
	if _, err := access.ParseHanded(text); err != nil {
		return "", fmt.Errorf("%s: %w", textOrFile, err)
	}
	return text, nil
}

// withoutPath leaves the path out of a file's error: it may be a secret that was cut off.
func withoutPath(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
