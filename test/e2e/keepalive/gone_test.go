package keepalive_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// TestAClientThatIsGoneFreesItsThread: what runs is cancelled, and the session is closed on its thread, though the client was busy with one-shots up to its
// last moment. On the direct route that is so as well.
func TestAClientThatIsGoneFreesItsThread(t *testing.T) {
	for language, spawn := range map[string]func(*testing.T, string) *rig.Process{
		"go": func(t *testing.T, at string) *rig.Process {
			return rig.Spawn(t, "client", clientConfig{Broker: at, Silence: limit})
		},
		"go, directly": func(t *testing.T, at string) *rig.Process {
			return rig.Spawn(t, "client", clientConfig{at, limit, assigner.Direct})
		},
		"python":           func(t *testing.T, at string) *rig.Process { return rig.Python(t, "testdata/client.py", at) },
		"python, directly": func(t *testing.T, at string) *rig.Process { return rig.Python(t, "testdata/client.py", at, "direct") },
	} {
		t.Run(language, func(t *testing.T) {
			ways(t, func(t *testing.T, end func(*rig.Process)) {
				site, g := rig.NewSite(t, rig.TCP), newGuard()
				site.Broker()
				w := site.Worker(rig.Services{"hold": g.service(), "chat": {Handler: func(context.Context, *assigner.Call) ([]byte, error) { return nil, nil }}}, rig.Slots(2), func(c *assigner.WorkerConfig) { c.DirectBind = "tcp://127.0.0.1:0" })
				rig.Receive(t, w.Welcomed(), "the worker's welcome")
				p := spawn(t, site.Clients)
				thread := p.Await("opened ")
				g.expect(t, "call "+thread)

				end(p)
				g.expect(t, "close "+thread)
				rig.Until(t, "the slot is free", func() bool { return w.Busy() == 0 })
			})
		})
	}
}

// TestAClientKnowsThatItsBrokerIsGone: its calls fail, outcome unknown. A client with more patience still waits for a broker that stands still.
func TestAClientKnowsThatItsBrokerIsGone(t *testing.T) {
	ways(t, func(t *testing.T, end func(*rig.Process)) {
		site, g := rig.NewSite(t, rig.TCP), newGuard()
		broker := site.BrokerAlone()
		w := site.Worker(rig.Services{"hold": g.service()}, rig.Slots(2))
		rig.Receive(t, w.Welcomed(), "the worker's welcome")
		c := site.Client(patience(limit))
		_, lost := begin(t, c, "hold")
		_, waits := begin(t, site.Client(patience(forEver)), "hold")
		end(broker)
		requireGone(t, rig.Receive(t, lost, "the end of the call"))
		if t.Name() == "TestAClientKnowsThatItsBrokerIsGone/frozen" {
			requireNone(t, waits, "this client has all time")
			broker.Kill()
		}
		requireGone(t, rig.Receive(t, waits, "the end of the other call"))
		short, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.IsAlive(short)
		require.ErrorIs(t, err, assigner.ErrBrokerGone)
	})
}

// TestAWorkerKnowsThatItsBrokerIsGone: its sessions are closed on their threads, so that the slots are free for other brokers. One with more patience still
// serves a broker that stands still.
func TestAWorkerKnowsThatItsBrokerIsGone(t *testing.T) {
	ways(t, func(t *testing.T, end func(*rig.Process)) {
		site, soon, late := rig.NewSite(t, rig.TCP), newGuard(), newGuard()
		broker := site.BrokerAlone()
		silence := func(d time.Duration) func(*assigner.WorkerConfig) {
			return func(c *assigner.WorkerConfig) { c.Slots, c.Heartbeat, c.Silence = 1, beat, d }
		}
		w := site.Worker(rig.Services{"soon": soon.service()}, silence(limit))
		site.Worker(rig.Services{"late": late.service()}, silence(forEver), rig.Named("late"))
		c := site.Client()
		first, _ := begin(t, c, "soon")
		second, _ := begin(t, c, "late")
		soon.expect(t, threadOf("call", first))
		late.expect(t, threadOf("call", second))
		end(broker)
		soon.expect(t, threadOf("close", first))
		rig.Until(t, "the slot is free", func() bool { return w.Busy() == 0 })
		if t.Name() == "TestAWorkerKnowsThatItsBrokerIsGone/frozen" {
			requireNone(t, late.notes, "this worker has all time")
			broker.Kill()
		}
		late.expect(t, threadOf("close", second))
	})
}

// TestPythonKnowsThatItsBrokerIsGone: both a client and a worker, in one process, over tcp and over ipc, where the kernel keeps no times. The client's exception has the record.
func TestPythonKnowsThatItsBrokerIsGone(t *testing.T) {
	verdicts := map[string]string{"killed": "GONE, disconnected", "frozen": "FROZEN, transport silence"}
	for name, transport := range map[string]rig.Path{"tcp": rig.TCP, "ipc": {Transport: "ipc"}} {
		t.Run(name, func(t *testing.T) {
			ways(t, func(t *testing.T, end func(*rig.Process)) {
				site := rig.NewSite(t, transport)
				broker := site.BrokerAlone()
				p := rig.Python(t, "testdata/both.py", site.Clients, site.Workers)
				p.Await("begun")
				end(broker)
				told := map[string]bool{p.Await(""): true, p.Await(""): true}
				_, way, _ := strings.Cut(strings.TrimPrefix(t.Name(), "TestPythonKnowsThatItsBrokerIsGone/"), "/")
				require.Equal(t, map[string]bool{"client: broker-gone unknown " + verdicts[way]: true, "worker: closed on its thread": true}, told)
			})
		})
	}
}
