// Package doctor finds out, step by step, how far a peer comes with a broker, and explains the step that fails.
package doctor

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
)

// Case is what is looked at.
type Case struct {
	Broker  string        // the broker's endpoint, for clients or for workers
	Key     string        // the one string, or a file with it; empty: none
	Timeout time.Duration // of each step
}

// Finding is the result of one step.
type Finding struct {
	Step string `json:"step"` // key, endpoint, connect, greeting, handshake, register, rights
	OK   bool   `json:"ok"`
	What string `json:"what"`           // what was seen
	Why  string `json:"why,omitempty"`  // what it means, where it is not well
	Next string `json:"next,omitempty"` // what to do
}

// visit is one run of all steps; a step that fails ends it.
type visit struct {
	Case
	handed access.Handed
	key    string // the one string, empty without
	conn   net.Conn
	line   *line
}

// Examine takes the steps until one fails.
func Examine(ctx context.Context, c Case) []Finding {
	v := &visit{Case: c}
	defer v.leave()
	var found []Finding
	for _, step := range []func(context.Context) Finding{v.readKey, v.endpoint, v.connect, v.greeting, v.handshake, v.register, v.rights} {
		f := step(ctx)
		found = append(found, f)
		if !f.OK {
			break
		}
	}
	return found
}

func (v *visit) leave() {
	if v.conn != nil {
		_ = v.conn.Close()
	}
	if v.line != nil {
		v.line.close()
	}
}

func (v *visit) curve() bool { return v.key != "" && zmqsock.Ciphered(v.Broker) }

func (v *visit) readKey(context.Context) Finding {
	f := Finding{Step: "key"}
	key, err := keys.Load(v.Key)
	if err == nil && key != "" {
		v.handed, err = access.ParseHanded(key)
	}
	if err != nil {
		f.What, f.Why, f.Next = err.Error(), "without its key a peer cannot show who it is", "give the string that `troupe keys add` has printed, whole and between quotes, or a file of yours with it (chmod 600)"
		return f
	}
	f.OK, v.key = true, key
	if key == "" {
		f.What = "none is given"
		return f
	}
	public, err := keys.PublicOf(v.handed)
	if err != nil {
		return Finding{Step: "key", What: err.Error(), Why: "the key cannot be used", Next: "`troupe version` shows the libzmq in use"}
	}
	f.What = fmt.Sprintf("%s, for a broker with key %s", public.Fingerprint(), v.handed.Broker.Fingerprint())
	return f
}

func (v *visit) endpoint(context.Context) Finding {
	f := Finding{Step: "endpoint", What: v.Broker}
	if err := zmqsock.CheckEndpoint("connect", v.Broker); err != nil {
		f.What, f.Why, f.Next = err.Error(), "it cannot be connected to", "name the broker's endpoint with --broker; it prints it when it starts"
		return f
	}
	if strings.HasPrefix(v.Broker, "inproc:") {
		f.Why, f.Next = "inproc does not leave the broker's process", "name a tcp or ipc endpoint of the broker with --broker"
		return f
	}
	f.OK = true
	return f
}

// dial connects without ZeroMQ.
func (v *visit) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, v.Timeout)
	defer cancel()
	network, at := "tcp", strings.TrimPrefix(v.Broker, "tcp://")
	if path, ok := strings.CutPrefix(v.Broker, "ipc://"); ok {
		network, at = "unix", path
	}
	return (&net.Dialer{}).DialContext(ctx, network, at)
}
