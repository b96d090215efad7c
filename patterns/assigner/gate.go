package assigner

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/actors"
	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/bridge"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
)

// gate is a broker's keys: its own, and who may come in, read again when the folder changes. A nil gate is a broker without keys.
type gate struct {
	dir     keys.Dir
	secret  string
	logger  *slog.Logger
	book    atomic.Pointer[access.Book] // the guard's goroutine looks at it
	guard   *zmqsock.Guard
	strange atomic.Uint64 // handshakes with unknown keys

	mu     sync.Mutex // of reloading
	stamp  keys.Stamp
	loaded atomic.Uint64
	failed atomic.Uint64

	started bool
	stop    chan struct{}
	stopped sync.Once
	done    chan struct{}
}

// keysPoll is how often the folder is looked at.
const keysPoll = time.Second

// openGate reads the folder; nil for no folder.
func openGate(dir string, logger *slog.Logger) (*gate, error) {
	if dir == "" {
		return nil, nil
	}
	g := &gate{dir: keys.Dir{Path: dir}, logger: logger, stop: make(chan struct{}), done: make(chan struct{})}
	var err error
	if g.secret, err = g.dir.Secret(); err != nil {
		return nil, fmt.Errorf("assigner: Keys: %w", err)
	}
	g.stamp = g.dir.Stamp()
	book, err := g.dir.Book()
	if err != nil {
		return nil, fmt.Errorf("assigner: Keys: %w", err)
	}
	g.book.Store(book)
	return g, nil
}

// curve makes the guard, on the loop, before anything is bound.
func (g *gate) curve(loop *bridge.Loop) (*zmqsock.Curve, error) {
	if g.guard == nil {
		guard, err := loop.Guard(g.knows)
		if err != nil {
			return nil, err
		}
		g.guard = guard
	}
	return &zmqsock.Curve{Secret: g.secret, Guard: g.guard}, nil
}

// knows is asked by the guard. The 1st, 2nd, 4th, 8th and so on of those it does not know are logged: whoever knocks does so again and again.
func (g *gate) knows(public string) bool {
	if g.book.Load().Find(public) != nil {
		return true
	}
	if n := g.strange.Add(1); n > 1 && (n-1)&(n-2) == 0 { // the first is the guard's own test
		g.logger.Warn("a key that is not known, or was revoked, is turned away", "key", access.Fingerprint(public), "count", n-1)
	}
	return false
}

// initialBook is what the machine starts with; nil without keys.
func (g *gate) initialBook() *access.Book {
	if g == nil {
		return nil
	}
	return g.book.Load()
}

// watch looks at the folder and the guard until it is told to stop. A guard that fails ends the loop, and with it all connections.
func (g *gate) watch(loop *bridge.Loop, tell func(*access.Book)) {
	defer close(g.done)
	poll := time.NewTicker(keysPoll)
	defer poll.Stop()
	for {
		select {
		case <-g.stop:
			return
		case <-g.guard.Done():
			g.logger.Error("nobody judges keys any more, so the broker ends", "error", g.guard.Err())
			loop.Stop()
			return
		case <-poll.C:
			_ = g.reload(false, tell) // logged
		}
	}
}

// reload reads the list if it has changed, or in any case. One that cannot be read changes nothing.
func (g *gate) reload(always bool, tell func(*access.Book)) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	stamp := g.dir.Stamp()
	if stamp == g.stamp && !always {
		return nil
	}
	g.stamp = stamp
	book, err := g.dir.Book()
	if err != nil {
		g.failed.Add(1)
		g.logger.Error("the list of keys cannot be read, so the one before stays in force", "error", err)
		return err
	}
	g.loaded.Add(1)
	g.logger.Info("the list of keys was read", "keys", len(book.Entries()))
	g.book.Store(book) // first: nobody whose key is gone may come in again
	tell(book)
	return nil
}

// close ends watching and waits for that.
func (g *gate) close() {
	if g == nil {
		return
	}
	g.stopped.Do(func() { close(g.stop) })
	if g.started {
		<-g.done
	}
}

// broken is closed when nobody judges keys any more; nil, for ever open, without keys.
func (g *gate) broken() <-chan struct{} {
	if g == nil || g.guard == nil {
		return nil
	}
	return g.guard.Done()
}

// ReloadKeys reads the list of keys now; without it the broker notices changes within a second. It is safe for concurrent use after Start. The error says what cannot be
// read; the list before stays in force then.
func (b *Broker) ReloadKeys() error {
	if b.gate == nil {
		return fmt.Errorf("assigner: the broker has no keys to read: set BrokerConfig.Keys")
	}
	return b.gate.reload(true, b.authorize)
}

func (b *Broker) authorize(book *access.Book) {
	b.system.Root.Send(b.pid, &actors.Authorize{Book: book})
}

// door is what a broker binds for clients or for workers: one endpoint of the loop, or two where some addresses are encrypted and others are not.
type door struct {
	endpoints []*bridge.Endpoint
	addrs     []string // as configured, with the ports that were chosen
}

// openDoor binds addresses. With keys, those that others can reach are encrypted.
func (b *Broker) openDoor(at []string, cfg bridge.EndpointConfig) (door, error) {
	d := door{addrs: make([]string, len(at))}
	for _, encrypted := range []bool{true, false} {
		var mine []int
		cfg.Bind, cfg.Curve = nil, nil
		for i, ep := range at {
			if (b.gate != nil && zmqsock.Ciphered(ep)) == encrypted {
				mine = append(mine, i)
				cfg.Bind = append(cfg.Bind, ep)
			}
		}
		if len(mine) == 0 {
			continue
		}
		if encrypted {
			var err error
			if cfg.Curve, err = b.gate.curve(b.loop); err != nil {
				return d, err
			}
		}
		ep, err := b.loop.Open(cfg)
		if err != nil {
			return d, err
		}
		d.endpoints = append(d.endpoints, ep)
		for k, addr := range ep.Addrs() {
			d.addrs[mine[k]] = addr
		}
	}
	return d, nil
}
