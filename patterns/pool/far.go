package pool

import (
	"errors"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/pool/machine"
)

// far is a master's connections to other hosts: one that they come to, and one to each peer.
type far struct {
	listen  *zmqsock.Socket
	guard   *zmqsock.Guard
	dials   []*zmqsock.Socket // of link i+1
	byID    map[string]machine.LinkID
	ids     map[machine.LinkID]string
	counter machine.LinkID
}

// firstAccepted is the first number of links that others have made.
const firstAccepted = 1 << 32

func (f *far) sockets() []*zmqsock.Socket {
	all := append([]*zmqsock.Socket(nil), f.dials...)
	if f.listen != nil {
		all = append(all, f.listen)
	}
	return all
}

func (f *far) has(s *zmqsock.Socket) bool {
	for _, d := range f.sockets() {
		if d == s {
			return true
		}
	}
	return false
}

// linkOf returns the link that a message came by, and the message without its routing id.
func (f *far) linkOf(s *zmqsock.Socket, frames [][]byte) (machine.LinkID, [][]byte) {
	for i, d := range f.dials {
		if d == s {
			return machine.LinkID(i + 1), frames
		}
	}
	if len(frames) == 0 {
		return 0, nil
	}
	id := string(frames[0])
	link := f.byID[id]
	if link == 0 {
		f.counter++
		link = firstAccepted + f.counter
		f.byID[id], f.ids[link] = link, id
	}
	return link, frames[1:]
}

func (f *far) route(link machine.LinkID) (*zmqsock.Socket, []byte) {
	if link < firstAccepted {
		if int(link) > len(f.dials) {
			return nil, nil
		}
		return f.dials[link-1], nil
	}
	if id, ok := f.ids[link]; ok {
		return f.listen, []byte(id)
	}
	return nil, nil
}

// Lead listens for other hosts, and connects to them.
func (l *loop) Lead(term uint64) {
	l.m.cfg.Logger.Info("master of the host", "pool", l.m.cfg.Pool, "term", term)
	l.unfollow()
	l.far = &far{byID: make(map[string]machine.LinkID), ids: make(map[machine.LinkID]string)}
	secret, public, err := l.m.curve()
	if err != nil { // without the key nobody is let in
		l.m.cfg.Logger.Error("no way to other hosts", "error", err)
		return
	}
	l.listenFar(l.far, secret, public)
	for i, peer := range l.m.cfg.Peers {
		cfg := l.farConfig(zmqsock.Dealer)
		if secret != "" {
			cfg.Curve = &zmqsock.Curve{Secret: secret, Server: public}
		}
		s, err := l.m.ctx.Open(cfg)
		if err == nil {
			err = s.Connect(endpoint(peer))
		}
		if err != nil {
			l.m.cfg.Logger.Error("no way to a peer", "peer", peer, "error", err)
			if s == nil {
				return
			}
		}
		l.far.dials = append(l.far.dials, s)
		l.soon(func() []machine.Effect { return l.node.LinkUp(l.now(), machine.LinkID(i+1), true) })
	}
	l.dirty = true
}

func (l *loop) farConfig(kind zmqsock.Kind) zmqsock.Config {
	return zmqsock.Config{Kind: kind, Heartbeat: -1, RecvHWM: -1, Unreachable: max(3*l.m.cfg.Silence, 3*time.Second)}
}

// rebind is how often a port is tried that somebody else still has.
const rebind = 20 * time.Millisecond

// listenFar binds the host's port. The master before may just be dying.
func (l *loop) listenFar(f *far, secret, public string) {
	if l.m.cfg.Listen == "" || l.far != f {
		return
	}
	err := l.tryListen(f, secret, public)
	switch {
	case err == nil:
		l.dirty = true
		return
	case !l.told:
		l.told = true
		l.m.cfg.Logger.Warn("other hosts cannot reach this one yet", "error", err)
	}
	pause := rebind
	if !errors.Is(err, syscall.EADDRINUSE) {
		pause = l.m.cfg.Silence
	}
	l.after(pause, func() { l.listenFar(f, secret, public) })
}

func (l *loop) tryListen(f *far, secret, public string) error {
	cfg := l.farConfig(zmqsock.Router)
	if secret != "" && f.guard == nil {
		g, err := l.m.ctx.Guard(func(key string) bool { return key == public })
		if err != nil {
			return err
		}
		f.guard = g
	}
	if f.guard != nil {
		cfg.Curve = &zmqsock.Curve{Secret: secret, Guard: f.guard}
	}
	s, err := l.m.ctx.Open(cfg)
	if err != nil {
		return err
	}
	if _, err := s.Bind(endpoint(l.m.cfg.Listen)); err != nil {
		_ = s.Close()
		return err
	}
	f.listen = s
	return nil
}

// unlead gives up all connections to other hosts.
func (l *loop) unlead() {
	f := l.far
	if f == nil {
		return
	}
	l.far, l.dirty = nil, true
	l.flush()
	for _, s := range f.sockets() {
		_ = s.Close()
	}
	if f.guard != nil {
		f.guard.Close()
	}
}
