package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

func (v *visit) handshake(context.Context) Finding {
	f := Finding{Step: "handshake"}
	var curve *zmqsock.Curve
	if v.curve() {
		curve = &zmqsock.Curve{Secret: v.handed.Secret.String(), Server: v.handed.Broker.String()}
	}
	var err error
	if v.line, err = newLine(v.Broker, curve); err != nil {
		f.What, f.Why, f.Next = err.Error(), "no socket of our own can be made", "`ulimit -n` shows how many descriptors this process may have"
		return f
	}
	failure, err := v.line.shakeHands(v.Timeout)
	switch {
	case err != nil:
		f.What = err.Error()
		f.Why, f.Next = "the broker's process stands still, or is overloaded", "look at the broker's log and load; --timeout waits longer"
	case failure == 0 && curve != nil:
		f.OK, f.What = true, "encrypted; broker and key know each other"
	case failure == 0:
		f.OK, f.What = true, "done, nothing is encrypted"
	case failure == zmqsock.KeyRefused:
		f.What = "the broker turned the key away (400)"
		f.Why, f.Next = "it does not know this key: it was never added to its list, or was revoked", "compare with `troupe keys list` at the broker, then `troupe keys add NAME --client SERVICE` for a new one"
	case failure == zmqsock.Unexplained && curve != nil:
		f.What = "the broker ended the connection in the middle of the handshake"
		f.Why = "most likely its key is not " + v.handed.Broker.Fingerprint() + ", which this peer was told to meet: another broker listens there, or its keys were made anew"
		f.Next = "compare with `troupe keys show` at the broker, then get a new key from `troupe keys add`"
	case failure == zmqsock.OtherMechanism:
		f.What = "one end encrypts and the other does not"
		f.Why, f.Next = "the broker was started again, otherwise, a moment ago", "run `troupe doctor` again"
	default:
		f.What = fmt.Sprintf("the handshake failed: %v", failure)
		f.Why, f.Next = "the broker is just starting or stopping, or what listens there is none", "run `troupe doctor` again, and look at the broker's log"
	}
	return f
}

func (v *visit) register(context.Context) Finding {
	f := Finding{Step: "register"}
	a, err := v.line.ask(v.Timeout, wire.Hello, []byte(`{"name":"troupe doctor","lang":"go"}`))
	switch {
	case err != nil:
		f.What = err.Error()
		f.Why, f.Next = "what listens there does not answer as a broker of HIT/1 does", "name the broker's endpoint for clients with --broker"
	case a.Type == wire.Welcome:
		var w wire.WelcomeInfo
		if w, err = wire.ParseWelcome(a.body); err != nil {
			f.What, f.Why, f.Next = err.Error(), "the broker is of another version", "compare `troupe version` on both sides"
			return f
		}
		f.OK, f.What = true, fmt.Sprintf("welcomed by broker %s, HIT/1, bodies of up to %d bytes", w.Broker, w.MaxBody)
	case a.Type != wire.Error:
		f.What = fmt.Sprintf("HELLO was answered by %v", a.Type)
		f.Why, f.Next = "the broker is of another version", "compare `troupe version` on both sides"
	default:
		v.refused(&f, a)
	}
	return f
}

// refused explains an ERROR that answers HELLO.
func (v *visit) refused(f *Finding, a answer) {
	f.What = fmt.Sprintf("%v: %s", a.Status, a.body)
	switch a.Status {
	case wire.Refused:
		f.Why, f.Next = "the key is known, and has no right to be a client", "if it is a worker's key all is well: `troupe worker` uses it; else have the right added, as said above"
	case wire.BadType:
		f.OK = true
		f.What = "this is the broker's endpoint for workers: it and the key know each other"
		f.Next = "name the endpoint for clients to see the key's rights"
	case wire.BadVersion:
		f.Why, f.Next = "the broker speaks another version of the protocol", "compare `troupe version` on both sides"
	default:
		f.Why, f.Next = "the broker refuses this peer", "do as it says"
	}
}

func (v *visit) rights(context.Context) Finding {
	f := Finding{Step: "rights"}
	a, err := v.line.ask(v.Timeout, wire.Admin, []byte(`{"cmd":"whoami"}`))
	if err == nil && a.Type == wire.Error {
		f.OK = true // it was at the workers' endpoint, or the broker is older
		f.What = "not told here"
		return f
	}
	var w machine.Whoami
	if err == nil {
		err = json.Unmarshal(a.body, &w)
	}
	if err != nil {
		f.What, f.Why, f.Next = err.Error(), "the broker does not say what this peer may", "compare `troupe version` on both sides"
		return f
	}
	f.OK = true
	list := func(s []string) string {
		if len(s) == 0 {
			return "none"
		}
		return strings.Join(s, ",")
	}
	admin := "no"
	if w.Admin {
		admin = "yes"
	}
	f.What = fmt.Sprintf("client of %s; worker for %s; admin: %s", list(w.Client), list(w.Worker), admin)
	if w.Name != "" {
		f.What = w.Name + ": " + f.What
	}
	return f
}
