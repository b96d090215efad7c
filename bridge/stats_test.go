package bridge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTheLongestTurn: it is told for at least five seconds, and forgotten within ten, or at once when nothing was done for so long.
func TestTheLongestTurn(t *testing.T) {
	var s Stats
	s.took(time.Second, 40*time.Millisecond)
	s.took(2*time.Second, time.Millisecond)
	require.Equal(t, 40*time.Millisecond, s.Longest())
	s.took(6*time.Second, 2*time.Millisecond)
	require.Equal(t, 40*time.Millisecond, s.Longest(), "five seconds later")
	s.took(11*time.Second, 3*time.Millisecond)
	require.Equal(t, 3*time.Millisecond, s.Longest(), "ten seconds later")
	s.took(time.Minute, time.Millisecond)
	require.Equal(t, time.Millisecond, s.Longest(), "after a long sleep")
}
