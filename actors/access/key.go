package access

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Key is a CURVE key, public or secret.
type Key [32]byte

// z85 is the alphabet of ZeroMQ RFC 32: four bytes in five characters, highest digit first.
const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// zlen is the length of a key in Z85.
const zlen = 40

var digits = func() (d [256]int8) {
	for i := range d {
		d[i] = -1
	}
	for i := range z85 {
		d[z85[i]] = int8(i)
	}
	return d
}()

// String returns the key in Z85, 40 characters.
func (k Key) String() string {
	var text [zlen]byte
	for i := range 8 {
		n := uint32(k[4*i])<<24 | uint32(k[4*i+1])<<16 | uint32(k[4*i+2])<<8 | uint32(k[4*i+3])
		for j := 4; j >= 0; j-- {
			text[5*i+j] = z85[n%85]
			n /= 85
		}
	}
	return string(text[:])
}

// ParseKey reads a key in Z85. The error does not show the text, which may be a secret.
func ParseKey(text string) (Key, error) {
	var k Key
	if len(text) != zlen {
		return k, fmt.Errorf("a key has %d characters (Z85), this one has %d: was it copied whole?", zlen, len(text))
	}
	for i := range 8 {
		n := uint64(0)
		for j := range 5 {
			d := digits[text[5*i+j]]
			if d < 0 {
				return Key{}, fmt.Errorf("character %d of the key is %q, which Z85 does not have: was it copied whole, and between single quotes?", 5*i+j+1, text[5*i+j])
			}
			n = n*85 + uint64(d)
		}
		if n > 1<<32-1 {
			return Key{}, fmt.Errorf("characters %d to %d of the key are no Z85: was it copied whole?", 5*i+1, 5*i+5)
		}
		k[4*i], k[4*i+1], k[4*i+2], k[4*i+3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	}
	return k, nil
}

// Fingerprint is a short name of a public key for people: 12 hex digits of its SHA-256.
func (k Key) Fingerprint() string {
	sum := sha256.Sum256(k[:])
	return hex.EncodeToString(sum[:6])
}

// Fingerprint is that of a key in Z85; of anything else it is "unreadable".
func Fingerprint(z85 string) string {
	k, err := ParseKey(z85)
	if err != nil {
		return "unreadable"
	}
	return k.Fingerprint()
}
