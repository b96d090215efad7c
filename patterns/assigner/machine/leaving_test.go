package machine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner/machine"
)

func TestASessionThatIsAskedToEndHasItsTime(t *testing.T) {
	const stop, now = 5 * time.Second, 100 * time.Second
	for name, c := range map[string]struct {
		machine.Leaving
		at   time.Duration
		over bool
	}{
		"a call that was cancelled, of a hit that goes on": {machine.Leaving{Inside: machine.Calling, Stopped: now - 2*stop}, 0, false},
		"a call that may end in peace":                     {machine.Leaving{Inside: machine.Calling, Ends: true}, now + stop, false},
		"a call that was stopped just now":                 {machine.Leaving{Inside: machine.Calling, Ends: true, Stopped: now - 1}, now - 1 + stop, false},
		"a call that does not come back":                   {machine.Leaving{Inside: machine.Calling, Ends: true, Stopped: now - stop}, now, true},
		"an opening that does not come back":               {machine.Leaving{Inside: machine.Opening, Ends: true, Stopped: now - stop}, now, true},
		"a call that has promised no sign for a minute": {
			machine.Leaving{Inside: machine.Calling, Ends: true, Stopped: now - stop, Promised: now + time.Minute}, now + time.Minute, false,
		},
		"a promise that is over":                    {machine.Leaving{Inside: machine.Calling, Ends: true, Stopped: now - stop, Promised: now - 1}, now, true},
		"a session that is being closed":            {machine.Leaving{Inside: machine.Closing, Ends: true, Closing: now - 1}, now - 1 + stop, false},
		"a Close that does not come back":           {machine.Leaving{Inside: machine.Closing, Closing: now - stop - 1}, now - 1, true},
		"an end that the thread has yet to hear of": {machine.Leaving{Ends: true}, now + stop, false},
	} {
		t.Run(name, func(t *testing.T) {
			at, over := c.Next(now, stop)
			require.Equal(t, c.at, at)
			require.Equal(t, c.over, over)
		})
	}
}
