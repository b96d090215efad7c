package reqrep

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The seed page's hello client, and a DEALER with many requests under way, talk to a Server.
func TestPythonClientsTalkToAServer(t *testing.T) {
	s := newServer(t, ServerConfig{Workers: 3})
	out := python(t, `
import sys, zmq
context = zmq.Context()
req = context.socket(zmq.REQ)
req.connect(sys.argv[1])
for i in range(3):
    req.send_string(str(i))
    assert req.recv_string() == str(i)
dealer = context.socket(zmq.DEALER)
dealer.connect(sys.argv[1])
for i in range(20):
    dealer.send_multipart([b"mine-%d" % i, b"", b"question", b"%d" % i])
seen = set()
for i in range(20):
    mine, empty, question, n = dealer.recv_multipart()
    assert mine == b"mine-" + n and not empty and question == b"question"
    seen.add(n)
print(len(seen))
context.destroy(linger=0)
`, s.Addrs()[0])()
	require.Equal(t, "20\n", out)
	require.EqualValues(t, 23, s.Stats().Answered)
}

// The seed page's hello server, a plain REP, answers a Client.
func TestPythonServerAnswersAClient(t *testing.T) {
	at := transports(t)["ipc"]
	out := python(t, `
import sys, zmq
context = zmq.Context()
rep = context.socket(zmq.REP)
rep.bind(sys.argv[1])
n = 0
while True:
    message = rep.recv_multipart()
    n += 1
    rep.send_multipart([b"hello"] + message)
    if message == [b"end"]:
        break
print(n)
context.destroy(linger=1000)
`, at)
	c := newClient(t, ClientConfig{Timeout: patience}, at)
	for range 5 {
		call, err := c.Go([]byte("a"), []byte("b"))
		require.NoError(t, err)
		answer, err := c.Call(within(t), []byte("other"))
		require.NoError(t, err)
		require.Equal(t, [][]byte{[]byte("hello"), []byte("other")}, answer)
		answer, err = call.Wait(within(t))
		require.NoError(t, err)
		require.Equal(t, [][]byte{[]byte("hello"), []byte("a"), []byte("b")}, answer)
	}
	_, err := c.Call(within(t), []byte("end"))
	require.NoError(t, err)
	require.Equal(t, "11\n", out())
}
