package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Handed is what a peer is given to come in: whom it must meet, and who it is.
type Handed struct {
	Broker Key // the broker's public key: a broker with another one is none
	Secret Key // the peer's secret key; its public one follows from it
}

// handedPrefix begins the one string, and names its version.
const handedPrefix = "troupe1-"

// ErrNotHanded says that a text is not the one string at all.
var ErrNotHanded = errors.New("a peer's key begins with " + handedPrefix)

// String returns the one string: troupe1- and, in base64url without padding, the broker's public key, the peer's secret key, and the first four bytes
// of the SHA-256 of prefix and keys. It holds a secret.
func (h Handed) String() string {
	keys := append(append(make([]byte, 0, 68), h.Broker[:]...), h.Secret[:]...)
	return handedPrefix + base64.RawURLEncoding.EncodeToString(append(keys, check(keys)...))
}

// ParseHanded reads the one string. Errors do not show it; one that is for another text altogether is ErrNotHanded.
func ParseHanded(text string) (Handed, error) {
	var h Handed
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, handedPrefix)
	if !ok {
		if version, _, found := strings.Cut(text, "-"); found && strings.HasPrefix(version, "troupe") && len(version) < 12 {
			return h, fmt.Errorf("the key is of version %q, this program reads %s only: use the program that the broker's operator uses", version, strings.TrimSuffix(handedPrefix, "-"))
		}
		return h, fmt.Errorf("%w; this text of %d characters does not: give what `troupe keys add` has printed", ErrNotHanded, len(text))
	}
	if want := base64.RawURLEncoding.EncodedLen(68); len(rest) != want {
		return h, fmt.Errorf("the key has %d characters behind %s, and must have %d: it was not copied whole, or something was added", len(rest), handedPrefix, want)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil {
		return h, fmt.Errorf("the key cannot be read behind %s (%w): it was changed when it was copied", handedPrefix, err)
	}
	if !bytes.Equal(b[64:], check(b[:64])) {
		return h, errors.New("the key's checksum is wrong: a character was changed when it was copied")
	}
	copy(h.Broker[:], b)
	copy(h.Secret[:], b[32:])
	return h, nil
}

func check(keys []byte) []byte {
	sum := sha256.Sum256(append([]byte(handedPrefix), keys...))
	return sum[:4]
}
