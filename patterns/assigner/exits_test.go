package assigner_test

import (
	"context"
	"encoding/json"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/supervision"
)

// deaf is a service whose calls and Closes do not return before the test says so, whatever they are told.
type deaf struct {
	release chan struct{} // asleep until it is closed
	busy    bool          // computing meanwhile
	inClose bool          // it is Close that does not return
	once    sync.Once
	began   chan int // thread of each call, or Close, that does not return
	closed  chan int // thread of each session that was closed
}

func newDeaf(t testing.TB) *deaf {
	d := &deaf{release: make(chan struct{}), began: make(chan int, 64), closed: make(chan int, 64)}
	t.Cleanup(d.let)
	return d
}

func (d *deaf) let() { d.once.Do(func() { close(d.release) }) }

func (d *deaf) hang() {
	d.began <- unix.Gettid()
	for d.busy {
		select {
		case <-d.release:
			return
		default:
		}
	}
	<-d.release
}

func (d *deaf) Call(_ context.Context, c *assigner.Call) ([]byte, error) {
	if string(c.Body()) == "hang" {
		d.hang()
	}
	return c.Body(), nil
}

func (d *deaf) Close() error {
	if d.inClose {
		d.hang()
	}
	d.closed <- unix.Gettid()
	return nil
}

func (d *deaf) service(change ...func(*assigner.Service)) services {
	s := assigner.Service{Repair: assigner.RepairFail, Open: func(context.Context, *assigner.Opening) (assigner.Session, error) { return d, nil }}
	for _, f := range change {
		f(&s)
	}
	return services{"deaf": s}
}

// impatient gives the worker one slot, which is written off soon.
func impatient(told chan<- supervision.Hung) func(*assigner.WorkerConfig) {
	return func(c *assigner.WorkerConfig) {
		c.Slots, c.WriteOff, c.Watch.MaxZombies = 1, 50*time.Millisecond, -1
		c.Watch.OnStuck = func(h supervision.Hung) { told <- h }
	}
}

func status(t testing.TB, c *assigner.Client) (s machine.StatusReport) {
	t.Helper()
	answer, err := c.Admin(limited(t), machine.AdminRequest{Cmd: "status"})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(answer, &s))
	return s
}

func strict(c *assigner.BrokerConfig) { c.Stuck = 300 * time.Millisecond }

// A thread that hangs costs its own hit, and nothing else: the slot gets another thread, and what the old one holds is released when it comes back.
func TestAHungThreadIsWrittenOffAndReplaced(t *testing.T) {
	for name, change := range map[string]func(*deaf, *assigner.Service){
		"asleep":     func(*deaf, *assigner.Service) {},
		"computing":  func(d *deaf, _ *assigner.Service) { d.busy = true },
		"kept":       func(_ *deaf, s *assigner.Service) { s.KeepThread = true },
		"goroutines": func(_ *deaf, s *assigner.Service) { s.Threads = assigner.Goroutines },
	} {
		t.Run(name, func(t *testing.T) {
			d, told := newDeaf(t), make(chan supervision.Hung, 8)
			b := startBroker(t, strict)
			w := startWorker(t, b.WorkerEndpoints()[0], d.service(func(s *assigner.Service) { change(d, s) }), impatient(told))
			c := dial(t, b.ClientEndpoints()[0])
			h, err := c.Open(limited(t), "deaf")
			require.NoError(t, err)
			_, err = h.Call(limited(t), []byte("hang"))
			require.ErrorIs(t, err, assigner.ErrStuck)

			next, err := c.Open(limited(t), "deaf") // on the only slot
			require.NoError(t, err)
			reply, err := next.Call(limited(t), []byte("hello"))
			require.NoError(t, err)
			require.Equal(t, "hello", string(reply))
			if name != "goroutines" {
				require.NotEqual(t, h.Thread(), next.Thread(), "the slot has a new thread")
			}
			hung := receive(t, told, "the report")
			require.Equal(t, "a call", hung.Message)
			require.Contains(t, string(hung.Stack), "assigner_test.(*deaf).hang", "the stack shows where")
			require.Equal(t, uint64(1), w.Stats().WrittenOff)
			require.Equal(t, 1, w.Stats().Zombies)
			require.EqualValues(t, 1, w.Counters()["zombies"])
			require.EqualValues(t, 1, w.Counters()["slots_written_off"])
			until(t, "the broker knows", func() bool { s := status(t, c); return s.Zombies == 1 })

			thread := receive(t, d.began, "the call")
			d.let()
			if back := receive(t, d.closed, "the session's Close"); name != "goroutines" {
				require.Equal(t, thread, back, "what it held is released on its thread")
			}
			until(t, "the zombie has ended", func() bool { return w.Stats().Zombies == 0 })
			until(t, "the broker knows that, too", func() bool { return status(t, c).Zombies == 0 })
			_, err = next.Call(limited(t), []byte("hello"))
			require.NoError(t, err)
			require.Empty(t, d.closed, "nobody else has lost anything")
			require.NoError(t, next.Close(limited(t)))
		})
	}
}

func TestAHungOneShotIsWrittenOff(t *testing.T) {
	d, told := newDeaf(t), make(chan supervision.Hung, 8)
	b := startBroker(t, strict)
	w := startWorker(t, b.WorkerEndpoints()[0], d.service(), impatient(told))
	c := dial(t, b.ClientEndpoints()[0])
	_, err := c.Do(limited(t), "deaf", []byte("hang"))
	require.ErrorIs(t, err, assigner.ErrStuck)
	reply, err := c.Do(limited(t), "deaf", []byte("hello"))
	require.NoError(t, err)
	require.Equal(t, "hello", string(reply))
	require.Equal(t, 1, w.Stats().Zombies)
}

// A session whose hit is over, for whatever reason, has its time to come back.
func TestTheThreadOfAHitThatIsOverIsWrittenOff(t *testing.T) {
	for name, over := range map[string]func(c *assigner.Client, h *assigner.Hit){
		"its client has left":                  func(c *assigner.Client, _ *assigner.Hit) { _ = c.Close(context.Background()) },
		"it is closed, and its call cancelled": func(_ *assigner.Client, h *assigner.Hit) { _ = h.Close(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			d, told := newDeaf(t), make(chan supervision.Hung, 8)
			b := startBroker(t)
			w := startWorker(t, b.WorkerEndpoints()[0], d.service(), impatient(told))
			c, other := dial(t, b.ClientEndpoints()[0]), dial(t, b.ClientEndpoints()[0])
			h, err := c.Open(limited(t), "deaf")
			require.NoError(t, err)
			calling, cancel := context.WithCancel(limited(t))
			ended := make(chan error, 1)
			go func() {
				_, err := h.Call(calling, []byte("hang"))
				ended <- err
			}()
			receive(t, d.began, "the call")
			cancel()
			require.Error(t, receive(t, ended, "the caller"))
			over(c, h)
			_, err = other.Do(limited(t), "deaf", []byte("hello"))
			require.NoError(t, err)
			require.Equal(t, 1, w.Stats().Zombies)
		})
	}
}

func TestACloseThatDoesNotReturnIsWrittenOff(t *testing.T) {
	d, told := newDeaf(t), make(chan supervision.Hung, 8)
	d.inClose = true
	b := startBroker(t)
	startWorker(t, b.WorkerEndpoints()[0], d.service(), impatient(told))
	h, err := dial(t, b.ClientEndpoints()[0]).Open(limited(t), "deaf")
	require.NoError(t, err)
	err = h.Close(limited(t))
	require.ErrorIs(t, err, assigner.ErrStuck)
	require.Equal(t, "its closing", receive(t, told, "the report").Message)
}

// What a zombie says is said to nobody; and who has promised nothing, but is asked nothing either, is left alone.
func TestAZombieIsFenced(t *testing.T) {
	d, told := newDeaf(t), make(chan supervision.Hung, 8)
	c := conduct(t)
	w, peer := c.worker(d.service(), impatient(told))
	c.say(peer, say(wire.Header{Type: wire.Begin, Hit: 7, Epoch: 3}, "deaf", ""))
	require.EqualValues(t, 3, c.hear(wire.Opened).Header.Epoch)
	call := wire.Header{Type: wire.Call, Hit: 7, Epoch: 3, Seq: 1}
	c.say(peer, say(call, "hang"))
	receive(t, d.began, "the call")
	call.Seq, call.Flags = 2, wire.Last
	c.say(peer, say(call, "too late"), say(wire.Header{Type: wire.Cancel, Hit: 7, Epoch: 3}), say(wire.Header{Type: wire.End, Hit: 7, Epoch: 3}))
	m := c.hear(wire.Ended)
	require.Equal(t, wire.IsStuck, m.Header.Status)
	require.EqualValues(t, 1, m.Header.Arg, "the second call never began")
	m = c.hear(wire.Changed)
	require.JSONEq(t, `{"slots": 1, "zombies": 1}`, string(m.Frame(0)))
	c.say(peer, say(wire.Header{Type: wire.End, Hit: 7, Epoch: 3}))
	require.Equal(t, wire.UnknownHit, c.hear(wire.Ended).Header.Status)

	d.let()
	receive(t, d.closed, "the session's Close")
	require.JSONEq(t, `{"slots": 1}`, string(c.hear(wire.Changed).Frame(0)))
	require.Empty(t, c.settle(peer, 1), "neither the call's answer nor an end")
	require.Zero(t, w.Stats().Zombies)
}

// A call that has promised to be long has its time, whoever has left.
func TestAPromiseIsKept(t *testing.T) {
	d, told := newDeaf(t), make(chan supervision.Hung, 8)
	c := conduct(t)
	w, peer := c.worker(d.service(func(s *assigner.Service) { s.Lease = time.Hour }), impatient(told), func(cfg *assigner.WorkerConfig) { cfg.WriteOff = 1 })
	c.say(peer, say(wire.Header{Type: wire.Begin, Hit: 7, Epoch: 3}, "deaf", ""))
	c.hear(wire.Opened)
	c.say(peer, say(wire.Header{Type: wire.Call, Hit: 7, Epoch: 3, Seq: 1}, "hang"))
	receive(t, d.began, "the call")
	c.say(peer, say(wire.Header{Type: wire.Cancel, Hit: 7, Epoch: 3}), say(wire.Header{Type: wire.End, Hit: 7, Epoch: 3}))
	for mark := range uint32(20) { // each a turn of the loop, with its timers
		require.Empty(t, c.settle(peer, mark+1))
		runtime.Gosched()
	}
	require.Zero(t, w.Stats().WrittenOff)
	d.let()
	c.hear(wire.Reply)
	require.Equal(t, wire.OK, c.hear(wire.Ended).Header.Status)
}
