package machine

import (
	"slices"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// AccessTotals count what a broker with keys has refused.
type AccessTotals struct {
	Clients  uint64 `json:"clients_refused"`  // HELLO
	Workers  uint64 `json:"workers_refused"`  // READY
	Services uint64 `json:"services_refused"` // OPEN
	Admins   uint64 `json:"admins_refused"`   // ADMIN
	Revoked  uint64 `json:"peers_revoked"`    // connections that were ended
}

// userOf returns the public key that a peer has proved to have; empty where there is nothing to judge: peers of this machine, and of brokers without keys.
func (b *Broker) userOf(peer wire.Peer) string {
	if b.cfg.Book == nil || b.cfg.User == nil {
		return ""
	}
	return b.cfg.User(peer)
}

// mayEnter judges a HELLO, and mayServe a READY; mayAdmin an ADMIN. A nil error allows it.
func (b *Broker) mayEnter(peer wire.Peer) error {
	user := b.userOf(peer)
	if user == "" {
		return nil
	}
	return b.denied(&b.access.Clients, b.cfg.Book.MayEnter(user))
}

func (b *Broker) mayServe(peer wire.Peer, services []string) error {
	user := b.userOf(peer)
	if user == "" {
		return nil
	}
	return b.denied(&b.access.Workers, b.cfg.Book.MayServe(user, services))
}

func (b *Broker) mayAdmin(peer wire.Peer) error {
	user := b.userOf(peer)
	if user == "" {
		return nil
	}
	return b.denied(&b.access.Admins, b.cfg.Book.MayAdmin(user))
}

// mayOpen judges an OPEN, by the book as it is now.
func (b *Broker) mayOpen(c *client, service []byte) error {
	if c.user == "" {
		return nil
	}
	return b.denied(&b.access.Services, b.cfg.Book.MayOpen(c.user, string(service)))
}

func (b *Broker) denied(counter *uint64, err error) error {
	if err != nil {
		*counter++
	}
	return err
}

// Authorize takes another book in place of the present one. Peers whose keys it does not have are told so and disconnected, and so are workers that may no longer
// serve what they have offered, and clients that may do nothing at all any more. Rights of other clients are judged by it from now on; their open hits go on.
func (b *Broker) Authorize(book *access.Book, fx []Effect) []Effect {
	if b.cfg.Book == nil || book == nil {
		return fx // a broker has keys from its start on, or none
	}
	b.cfg.Book = book
	for peer, c := range b.clients {
		if c.user == "" {
			continue
		}
		if err := book.MayEnter(c.user); err != nil {
			fx = b.revoke(peer, err, fx)
		}
	}
	for peer, w := range b.workers {
		user := b.userOf(peer)
		if user == "" {
			continue
		}
		if err := book.MayServe(user, w.Info.Services); err != nil {
			fx = b.revoke(peer, err, fx)
		}
	}
	return fx
}

// revoke tells a peer why, and ends its connection soon: its hits end by that.
func (b *Broker) revoke(peer wire.Peer, err error, fx []Effect) []Effect {
	b.access.Revoked++
	why := Why{Verdict: "REVOKED", Detector: "keys", Measured: err.Error(), Done: "the connection is ended, and with it the hits on it"}
	return append(fx,
		send(peer, wire.Header{Type: wire.Error, Status: wire.Refused, Arg: uint32(wire.NeverStarted)}, []byte(err.Error()), mustJSON(why)),
		Effect{Kind: Cut, To: peer, Text: err.Error()})
}

// Whoami is the report of the command whoami: what the asking peer may. Anybody may ask.
type Whoami struct {
	Encrypted   bool     `json:"encrypted"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	Name        string   `json:"name,omitempty"`
	Client      []string `json:"client,omitempty"` // services, * for all
	Worker      []string `json:"worker,omitempty"`
	Admin       bool     `json:"admin"`
}

func (b *Broker) whoami(peer wire.Peer) Whoami {
	user := b.userOf(peer)
	if user == "" {
		all := []string{access.All}
		return Whoami{Client: all, Worker: all, Admin: b.cfg.Admin}
	}
	w := Whoami{Encrypted: true, Fingerprint: access.Fingerprint(user)}
	if e := b.cfg.Book.Find(user); e != nil {
		w.Name, w.Client, w.Worker, w.Admin = e.Name, slices.Clone(e.Client), slices.Clone(e.Worker), e.Admin && b.cfg.Admin
	}
	return w
}

// keyName returns the name of a peer's key, for listings.
func (b *Broker) keyName(peer wire.Peer) string {
	if user := b.userOf(peer); user != "" {
		if e := b.cfg.Book.Find(user); e != nil {
			return e.Name
		}
	}
	return ""
}
