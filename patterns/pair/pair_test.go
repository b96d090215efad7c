package pair

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// childURL is the variable by which the test program is told to be a child process.
const childURL = "PAIR_TEST_CHILD"

// child doubles numbers until the other end closes. Whether it is a thread or a process is a matter of the URL.
func child(ctx context.Context, url string) error {
	e, err := Dial(ctx, ctx, Config{URL: url, Logger: quiet})
	if err != nil {
		return err
	}
	defer e.Close(ctx)
	for {
		m, err := e.Receive(ctx)
		if err != nil || string(m[0]) == "end" {
			return err
		}
		n, err := strconv.Atoi(string(m[0]))
		if err != nil {
			return err
		}
		if err := e.Send(ctx, strconv.AppendInt(nil, int64(2*n), 10)); err != nil {
			return err
		}
	}
}

// The page's advice: parent and child threads joined by a PAIR on inproc, which become processes later. The URL alone changes.
func TestThreadsBecomeProcessesByTheURL(t *testing.T) {
	for name, url := range transports(t) {
		t.Run(name, func(t *testing.T) {
			parent := listen(t, config(url))
			done := make(chan error, 1)
			ctx := within(t)
			go func() {
				if strings.HasPrefix(url, "inproc://") {
					done <- child(ctx, url)
					return
				}
				self, err := os.Executable()
				if err != nil {
					done <- err
					return
				}
				cmd := exec.CommandContext(ctx, self)
				cmd.Env = append(os.Environ(), childURL+"="+url)
				out, err := cmd.CombinedOutput()
				if err != nil {
					err = fmt.Errorf("%w: %s", err, out)
				}
				done <- err
			}()
			for i := range 100 {
				require.NoError(t, parent.Send(ctx, strconv.AppendInt(nil, int64(i), 10)))
				require.Equal(t, []string{strconv.Itoa(2 * i)}, receive(t, parent))
			}
			require.NoError(t, parent.Send(ctx, []byte("end")))
			require.NoError(t, <-done)
			_, err := parent.Receive(ctx)
			require.Contains(t, is(t, err, ErrGone).Text, "it was closed")
			is(t, parent.Send(ctx, []byte("x")), ErrGone)
		})
	}
}

// A third end is told; with a plain PAIR it waits for ever. The two are unharmed.
func TestThirdEndIsRefused(t *testing.T) {
	for name, url := range transports(t) {
		t.Run(name, func(t *testing.T) {
			a := listen(t, config(url))
			b := dial(t, config(url))
			_, err := Dial(context.Background(), within(t), config(url))
			require.Contains(t, is(t, err, ErrTaken).Error(), "pair: dial: the other end is taken")
			require.EqualValues(t, 1, a.Stats().Refused)
			intruder := newPlain(t, zmqsock.Dealer, url)
			require.Zero(t, intruder.send(wordSay, "hello"))
			require.Equal(t, wordNo, intruder.receive()[0])
			require.NoError(t, a.Send(within(t), []byte("hello"), nil, []byte("you")))
			require.Equal(t, []string{"hello", "", "you"}, receive(t, b))
			if name != "inproc" { // libzmq itself refuses a second one there
				_, err = Listen(context.Background(), config(url))
				require.Error(t, err)
			}
		})
	}
}

// Which end starts first does not matter.
func TestChildMayStartBeforeItsParent(t *testing.T) {
	for name, url := range transports(t) {
		t.Run(name, func(t *testing.T) {
			type result struct {
				end *End
				err error
			}
			dialed := make(chan result, 1)
			ctx := within(t)
			started := make(chan struct{})
			go func() {
				close(started)
				e, err := Dial(context.Background(), ctx, config(url))
				dialed <- result{e, err}
			}()
			<-started
			a := listen(t, config(url))
			require.NoError(t, a.Wait(ctx))
			b := <-dialed
			require.NoError(t, b.err)
			require.NoError(t, b.end.Send(ctx, []byte("first")))
			require.NoError(t, b.end.Close(ctx))
			require.Equal(t, []string{"first"}, receive(t, a), "what was sent before the end arrives")
			_, err := a.Receive(ctx)
			is(t, err, ErrGone)
		})
	}
}

// An end that is cut off without a word is told of, after what it had sent.
func TestLostEndIsToldOf(t *testing.T) {
	for name, url := range transports(t) {
		if name == "inproc" {
			continue // both ends die together
		}
		t.Run(name, func(t *testing.T) {
			a := listen(t, config(url))
			peer := newPlain(t, zmqsock.Dealer, url)
			require.Zero(t, peer.send(wordHello, "token", "10"))
			require.Equal(t, []string{wordYes, "1000"}, peer.receive())
			require.Zero(t, peer.send(wordSay, "last words"))
			require.Equal(t, []string{"last words"}, receive(t, a))
			peer.close()
			_, err := a.Receive(within(t))
			require.Contains(t, is(t, err, ErrGone).Text, "the connection to it is lost")
		})
	}
}

// The same at the end that has dialed, here a script's partner of any language.
func TestPythonListensAndDies(t *testing.T) {
	url := transports(t)["ipc"]
	out := python(t, `
import sys, zmq
context = zmq.Context()
router = context.socket(zmq.ROUTER)
router.bind(sys.argv[1])
who, word, token, window = router.recv_multipart()
assert word == b"HELLO" and token and int(window) == 1000
router.send_multipart([who, b"YES", b"5"])
total = 0
for i in range(20):
    assert router.recv_multipart() == [who, b"SAY", b"%d" % i]
    router.send_multipart([who, b"GOT", b"1"])
router.send_multipart([who, b"SAY", b"that is", b"all"])
router.close(linger=1000)
context.term()
print("gone")
`, url)
	e := dial(t, config(url))
	for i := range 20 {
		require.NoError(t, e.Send(within(t), strconv.AppendInt(nil, int64(i), 10)))
	}
	require.Equal(t, []string{"that is", "all"}, receive(t, e))
	_, err := e.Receive(within(t))
	require.Contains(t, is(t, err, ErrGone).Text, "the connection to it is lost")
	require.Equal(t, "gone\n", out())
}

// A plain PAIR's queue grows, or blocks a thread for ever. Here Send waits for room, as long as its context says.
func TestSendWaitsForRoom(t *testing.T) {
	for name, url := range transports(t) {
		t.Run(name, func(t *testing.T) {
			cfg := config(url)
			cfg.Window = 3
			a, b := listen(t, cfg), dial(t, config(url))
			for i := range 3 {
				require.NoError(t, b.Send(within(t), []byte{byte(i)}))
			}
			eventually(t, func() bool { return a.Stats().Waiting == 3 }, "all came")
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			require.ErrorIs(t, is(t, b.Send(ctx, []byte("no room")), ErrGivenUp), context.Canceled)
			for i := range 3 {
				require.Equal(t, []string{string(byte(i))}, receive(t, a))
			}
			require.NoError(t, b.Send(within(t), []byte("room")))
			require.Equal(t, []string{"room"}, receive(t, a))
		})
	}
}

// Plain sockets must not be shared by threads. Ends may.
func TestManyGoroutinesShareAnEnd(t *testing.T) {
	for name, url := range transports(t) {
		t.Run(name, func(t *testing.T) {
			cfg := config(url)
			cfg.Window = 10
			a, b := listen(t, cfg), dial(t, cfg)
			ctx := within(t)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for i := range 100 {
						if err := a.Send(ctx, strconv.AppendInt(nil, int64(i), 10)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			var mu sync.Mutex
			sum := 0
			for range 4 {
				wg.Go(func() {
					for range 200 {
						m, err := b.Receive(ctx)
						if err != nil {
							t.Error(err)
							return
						}
						n, _ := strconv.Atoi(string(m[0]))
						mu.Lock()
						sum += n
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			require.Equal(t, 8*4950, sum)
		})
	}
}

func TestBadInputIsCounted(t *testing.T) {
	url := transports(t)["tcp"]
	a := listen(t, config(url))
	peer := newPlain(t, zmqsock.Dealer, url)
	bad := uint64(0)
	say := func(frames ...string) {
		require.Zero(t, peer.send(frames...))
		bad++
		eventually(t, func() bool { return a.Stats().Bad == bad }, "it is counted")
	}
	say("nonsense")
	say(wordHello, "token", "many")
	say(wordHello, "", "1")
	require.Zero(t, peer.send(wordHello, "token", "5"))
	eventually(t, func() bool { return a.Stats().Paired }, "it is the other end")
	say("nonsense")
	say(wordSay)
	say(wordGot, "-1")
	say(append([]string{wordSay}, make([]string, maxFrames+1)...)...)
	require.Zero(t, peer.send(wordSay, "fine"))
	require.Equal(t, []string{"fine"}, receive(t, a))
	for range 1001 { // more than the window
		eventually(t, func() bool { return peer.send(wordSay, "x") == 0 }, "there is room")
	}
	eventually(t, func() bool { return !a.Stats().Paired }, "it is given up")
	is(t, a.Send(within(t), []byte("x")), ErrGone)
	is(t, a.Send(within(t)), ErrTooLarge)
}

func TestClosedEnds(t *testing.T) {
	url := transports(t)["inproc"]
	ctx, cancel := context.WithCancel(context.Background())
	a, err := Listen(ctx, config(url))
	require.NoError(t, err)
	cancel() // Ctrl-C
	<-a.Done()
	is(t, a.Wait(within(t)), ErrClosed)
	_, err = a.Receive(within(t))
	is(t, err, ErrClosed)
	gone, cancel2 := context.WithCancel(context.Background())
	cancel2()
	_, err = Dial(context.Background(), gone, config("tcp://127.0.0.1:1"))
	is(t, err, ErrGivenUp)
	for want, cfg := range map[string]Config{"URL is empty": {}, "Window -1": {URL: url, Window: -1}, "insist with Insecure": {URL: "tcp://0.0.0.0:1"}} {
		_, err := Listen(context.Background(), cfg)
		require.ErrorContains(t, err, want)
	}
}
