package butterfly

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// traceOf returns a request's traceparent (W3C Trace Context, level 1): the client's with a new parent id, or a new one where the client has sent none, or nonsense.
func traceOf(header string) string {
	parts := strings.Split(strings.TrimSpace(header), "-")
	var id [24]byte
	_, _ = rand.Read(id[:])
	trace, flags := hex.EncodeToString(id[:16]), "00"
	if len(parts) >= 4 && len(parts[0]) == 2 && parts[0] != "ff" && isHex(parts[0], 2) && isHex(parts[1], 32) && isHex(parts[2], 16) && isHex(parts[3], 2) {
		trace, flags = parts[1], parts[3]
	}
	return "00-" + trace + "-" + hex.EncodeToString(id[16:]) + "-" + flags
}

func isHex(s string, n int) bool {
	if len(s) != n || n > 2 && strings.Trim(s, "0") == "" {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
