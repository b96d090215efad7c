package keys_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// doors are a worker with an encrypted endpoint for direct hits, in each language; it serves "up".
var doors = map[string]func(*testing.T, *rig.Site, access.Handed){
	"go": func(_ *testing.T, site *rig.Site, key access.Handed) {
		site.Worker(rig.Services{"up": {Handler: upper}}, rig.Slots(4), workerKey(key), func(c *assigner.WorkerConfig) { c.DirectBind = "tcp://127.0.0.1:0" })
	},
	"python": func(t *testing.T, site *rig.Site, key access.Handed) {
		t.Helper()
		rig.Python(t, "testdata/direct.py", "worker", site.Workers, key.String()).Await("serves")
	},
}

// directCallers make a direct hit for one call and return the reply.
var directCallers = map[string]func(*testing.T, *rig.Site, access.Handed) string{
	"go": func(t *testing.T, site *rig.Site, key access.Handed) string {
		t.Helper()
		ctx := rig.Context(t)
		h, err := site.Client(clientKey(key)).OpenWith(ctx, assigner.OpenRequest{Service: "up", Route: assigner.Direct})
		require.NoError(t, err)
		reply, err := h.Call(ctx, []byte("hello"))
		require.NoError(t, err)
		require.NoError(t, h.Close(ctx))
		return string(reply)
	},
	"python": func(t *testing.T, site *rig.Site, key access.Handed) string {
		t.Helper()
		p := rig.Python(t, "testdata/direct.py", "client", site.Clients, key.String())
		p.Say("hello")
		return p.Await("reply ")
	},
}

// hit.md, section 12: "The client's secret key is the SHA-256 of the 13 octets `HIT/1 direct ` and the token; the worker lets no other key in, and this one
// until the token was used." That is so whatever the two are written in.
func TestDirectHitsOfAllLanguages(t *testing.T) {
	for language, serve := range doors {
		t.Run("worker in "+language, func(t *testing.T) {
			site, l := rig.NewSite(t, rig.Path{Transport: "tcp"}), newLocksmith(t)
			ann, wim := l.add("ann", "client=*"), l.add("wim", "worker=*")
			site.Broker(l.locked)
			serve(t, site, wim)
			for caller, call := range directCallers {
				t.Run("client in "+caller, func(t *testing.T) { require.Equal(t, "HELLO", call(t, site, ann)) })
			}
			t.Run("strangers", func(t *testing.T) { turnedAway(t, site, ann, l.stranger()) })
		})
	}
}

// turnedAway opens a direct hit, and has its worker visited with wrong keys, with the right one, and with that again.
func turnedAway(t *testing.T, site *rig.Site, ann, stranger access.Handed) {
	t.Helper()
	curve := func(secret, server string) func(*zmqsock.Config) {
		return func(c *zmqsock.Config) { c.Curve = &zmqsock.Curve{Secret: secret, Server: server} }
	}
	raw := rig.NewRaw(t, site.Clients, curve(ann.Secret.String(), ann.Broker.String())).Hello()
	raw.Say(wire.Header{Type: wire.Open, Flags: wire.Ref | wire.Direct, Hit: 1}, []byte("up"), nil)
	opened := raw.Hear(wire.Opened)
	endpoint, token, server := string(opened.Frames[3]), opened.Frames[4], string(opened.Frames[5])
	mine := zmqsock.SecretKey(sha256.Sum256(append([]byte("HIT/1 direct "), token...)))
	visit := func(server, secret string) *rig.Process {
		return rig.Python(t, "testdata/foreign.py", "hello", endpoint, server, secret)
	}

	visit(server, stranger.Secret.String()).Await("handshake auth")
	visit(server, ann.Secret.String()).Await("handshake auth")
	visit("-", "-").Await("gone")
	visit(server, mine).Await("handshake done") // though it has shown no token, and used none up therefore

	r := rig.NewRaw(t, endpoint, curve(mine, server))
	about := map[string]string{"token": hex.EncodeToString(token)}
	r.Say(wire.Header{Type: wire.Hello, Flags: wire.Direct, Hit: opened.Handle()}, wire.JSON(about))
	welcome := r.Hear(wire.Welcome)
	r.Say(wire.Header{Type: wire.Call, Hit: opened.Handle(), Epoch: welcome.Epoch, Seq: 1}, []byte("me"))
	require.Equal(t, "ME", string(r.Hear(wire.Reply).Frames[0]))
	visit(server, mine).Await("handshake auth") // the token was used
}

// A client that speaks with its broker in secret does not call its worker in the clear.
func TestPythonNeverFallsBackToPlain(t *testing.T) {
	site, l := rig.NewSite(t, rig.Path{Transport: "tcp"}), newLocksmith(t)
	ann, wim := l.add("ann", "client=*"), l.add("wim", "worker=*")
	site.Broker(l.locked)
	plain := rig.NewRaw(t, site.Workers, func(c *zmqsock.Config) {
		c.Curve = &zmqsock.Curve{Secret: wim.Secret.String(), Server: wim.Broker.String()}
	})
	plain.Say(wire.Header{Type: wire.Ready}, wire.JSON(wire.ReadyInfo{Name: "plain", Slots: 1, Services: []string{"up"}, Direct: "tcp://127.0.0.1:9"}))
	plain.Hear(wire.Welcome)
	p := rig.Python(t, "testdata/direct.py", "client", site.Clients, ann.String())
	p.Say("hello")
	begin := plain.Hear(wire.Begin)
	plain.Say(wire.Header{Type: wire.Opened, Hit: begin.Hit, Epoch: begin.Epoch})
	require.Contains(t, p.Await("error worker-gone "), "nothing is sent in the clear: give the worker a key, too")
}
