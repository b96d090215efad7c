package harness_test

import (
	"errors"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/test/harness"
)

// TestHosts: a broker, a worker and a client on three hosts; the worker's cable is pulled out, and put back.
func TestHosts(t *testing.T) {
	hosts, err := harness.NewHosts(t)
	if errors.Is(err, harness.ErrNoHosts) {
		t.Skip(err)
	}
	require.NoError(t, err)
	troupe := func(name string, args ...string) *harness.Process {
		cmd := exec.Command(harness.Binary(t), append([]string{"--log-format", "json"}, args...)...)
		return harness.Start(t, name, hosts.Add(name).Command(cmd))
	}
	b := troupe("b", "broker", "--insecure", "--name", "b", "--client", "tcp://0.0.0.0:5700", "--worker", "tcp://0.0.0.0:5701",
		"--heartbeat", "100ms", "--silence", "300ms")
	b.Await("")
	w := hosts.Add("w1")
	cmd := exec.Command(harness.Binary(t), "worker", "--name", "w1", "--broker", "tcp://10.213.101.1:5701")
	harness.Start(t, "w1", w.Command(cmd)).Await("")
	call := func() error {
		one := troupe("caller", "call", "--broker", "tcp://10.213.101.1:5700", "upper", "hello")
		<-one.Done()
		return one.Err()
	}
	require.NoError(t, call())
	w.Unplug()
	harness.TimelineOf(t).Expect(t, harness.Want{Of: "w1", By: "b"})
	w.Plug()
	require.NoError(t, call(), "opens wait until the worker is back")
}
