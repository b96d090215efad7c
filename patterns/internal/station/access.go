package station

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
)

// Access says who may come in at the endpoints that are bound, and by which key those that are connected to are entered.
type Access struct {
	// Keys is a folder that `troupe keys` keeps: all tcp and ipc endpoints are encrypted then, and only listed keys come in.
	Keys string
	// Service is the name for which a key must be listed (client=NAME or worker=NAME); empty: any listed key will do.
	Service string
	// Key is the one string that `troupe keys add` has printed; with it the other ends must be encrypted, and prove their key.
	Key string
	// Insecure allows endpoints that other machines can reach without Keys.
	Insecure bool
}

// Check judges endpoints and Key, without touching network or files. Errors are *zmqsock.EndpointError where an endpoint is at fault.
func (a *Access) Check(bind, connect []string) error {
	for _, ep := range bind {
		if err := zmqsock.CheckEndpoint("bind", ep); err != nil {
			return err
		}
		if !a.Insecure && a.Keys == "" && !zmqsock.Local(ep) {
			return &zmqsock.EndpointError{
				Op: "bind", Endpoint: ep, Err: zmqsock.ErrInsecure,
				Remedy: "encrypt it with Keys (`troupe keys init`), bind to 127.0.0.1, ipc or inproc, or insist with Insecure on a network you trust",
			}
		}
	}
	for _, ep := range connect {
		if err := zmqsock.CheckEndpoint("connect", ep); err != nil {
			return err
		}
	}
	if a.Key != "" {
		if _, err := access.ParseHanded(a.Key); err != nil {
			return fmt.Errorf("key: %w", err)
		}
	}
	return nil
}

// knock is how sockets that connect are encrypted; nil: not at all.
func (a *Access) knock() (*zmqsock.Curve, error) {
	if a.Key == "" {
		return nil, nil
	}
	h, err := access.ParseHanded(a.Key)
	if err != nil {
		return nil, err
	}
	return &zmqsock.Curve{Secret: h.Secret.String(), Server: h.Broker.String()}, nil
}

// door is how sockets that bind are encrypted: who is in the folder's list may come in, as it is at that time.
type door struct {
	dir     keys.Dir
	service string
	logger  *slog.Logger
	secret  string
	guard   *zmqsock.Guard

	mu      sync.Mutex
	stamp   keys.Stamp
	book    *access.Book
	strange uint64
}

// openDoor reads the folder and starts a guard; nil for no folder.
func openDoor(a Access, ctx *zmqsock.Context, logger *slog.Logger) (*door, error) {
	if a.Keys == "" {
		return nil, nil
	}
	d := &door{dir: keys.Dir{Path: a.Keys}, service: a.Service, logger: logger}
	var err error
	if d.secret, err = d.dir.Secret(); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	d.stamp = d.dir.Stamp()
	if d.book, err = d.dir.Book(); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if d.guard, err = ctx.Guard(d.allow); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *door) close() {
	if d != nil {
		d.guard.Close()
	}
}

// curve is how a socket that binds is encrypted; nil without keys.
func (d *door) curve() *zmqsock.Curve {
	if d == nil {
		return nil
	}
	return &zmqsock.Curve{Secret: d.secret, Guard: d.guard}
}

// allow is asked about every key that knocks. A list that cannot be read changes nothing.
func (d *door) allow(public string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if stamp := d.dir.Stamp(); stamp != d.stamp {
		d.stamp = stamp
		if book, err := d.dir.Book(); err == nil {
			d.book = book
		} else {
			d.logger.Error("the list of keys cannot be read, so the one before stays in force", "error", err)
		}
	}
	e := d.book.Find(public)
	if e != nil && (d.service == "" || e.Client.Has(d.service) || e.Worker.Has(d.service)) {
		return true
	}
	if d.strange++; d.strange > 1 && (d.strange-1)&(d.strange-2) == 0 { // the first is the guard's own test
		d.logger.Warn("a key that is not listed for this is turned away", "key", access.Fingerprint(public), "service", d.service, "count", d.strange-1)
	}
	return false
}
