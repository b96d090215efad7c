package resume_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// TestTicketsThatDoNotFit: each is refused by its name, counted, and the hit's holder does not notice.
func TestTicketsThatDoNotFit(t *testing.T) {
	languages(t, func(t *testing.T, hold func(*testing.T, string) *holder) {
		s := newStage(t)
		owner, thief := hold(t, s.Clients), hold(t, s.Clients)
		thread, n := owner.open(time.Minute), 0
		ticket := owner.ticket()
		unharmed := func() {
			t.Helper()
			n++
			owner.call(fmt.Sprint("call-", n))
			owner.replied(fmt.Sprint("call-", n), fmt.Sprintf("%d %d", n, thread))
		}
		unharmed()
		before := s.broker.Counters()
		require.Contains(t, thief.refused(forge(t, ticket, "key", strings.Repeat("0f", 16)), "bad-key"), "the key is not that of hit")
		s.counted("bad-key", before)
		unharmed()

		thief.refused(forge(t, ticket, "hit", "123456"), "unknown-hit")
		s.counted("unknown-hit", before)
		require.Contains(t, thief.refused(forge(t, ticket, "incarnation", "0123"), "broker-gone"), "restarted")
		require.Contains(t, thief.refused(ticket[:len(ticket)-1], "bad-ticket"), "checksum")
		require.Contains(t, thief.refused("nonsense", "bad-ticket"), "ticket")
		unharmed()

		owner.close()
		require.Equal(t, thread, rig.Receive(t, s.closed, "the session's close"))
		before = s.broker.Counters()
		thief.void(ticket)
		s.counted("unknown-hit", before)
	})
}

// forge changes one field of a ticket, with a good checksum.
func forge(t *testing.T, ticket, field string, value any) string {
	t.Helper()
	parts := strings.Split(ticket, ":")
	body, err := base64.RawURLEncoding.DecodeString(parts[2])
	require.NoError(t, err)
	about := make(map[string]any)
	require.NoError(t, json.Unmarshal(body, &about))
	about[field] = value
	body, err = json.Marshal(about)
	require.NoError(t, err)
	head := parts[0] + ":" + parts[1] + ":" + base64.RawURLEncoding.EncodeToString(body)
	return fmt.Sprintf("%s:%08x", head, crc32.ChecksumIEEE([]byte(head)))
}
