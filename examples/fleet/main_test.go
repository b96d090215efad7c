package main

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain is a member, where the test has started itself as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-member" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// On hosts of their own where this is root, and on the loopback interface.
func TestTheFleetFindsAllThoughMembersBreak(t *testing.T) {
	for name, flags := range map[string][]string{"hosts": nil, "loopback": {"-loopback"}} {
		t.Run(name, func(t *testing.T) {
			if name == "hosts" && os.Geteuid() != 0 {
				t.Skip("network namespaces need root")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			out := &bytes.Buffer{}
			require.NoError(t, run(ctx, append(flags, "-files", "600", "-per-host", "3"), out), "%s", out)
			require.Regexp(t, `(?s)9 members on 3 hosts.*: 9 members have answered\n.*is killed\n.*is frozen\n.*is stopped.*: 6 members have answered.*: 6 members have answered`, out.String())
			for _, says := range []string{"host-a is lost: GONE", "host-c is lost: FROZEN", "host-b is lost: KILLED"} {
				require.Contains(t, out.String(), says)
			}
		})
	}
}

func TestBadArguments(t *testing.T) {
	for want, args := range map[string][]string{
		"at least 3": {"-per-host", "2"}, "nowhere": {"-root", "/nowhere"}, "not empty": {"-text", ""}, "no texts below": {"-root", t.TempDir()},
	} {
		require.ErrorContains(t, run(t.Context(), args, &bytes.Buffer{}), want)
	}
}
