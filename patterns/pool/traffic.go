package pool

import (
	"encoding/binary"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/pool/machine"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// sockets returns all that is listened to.
func (l *loop) sockets() []*zmqsock.Socket {
	var all []*zmqsock.Socket
	if l.own != nil {
		all = append(all, l.own)
	}
	if l.up != nil {
		all = append(all, l.up.sock)
	}
	for _, w := range l.side {
		all = append(all, w.sock)
	}
	if l.far != nil {
		all = append(all, l.far.sockets()...)
	}
	return all
}

// receive takes in a batch of every socket, and returns how many messages there were.
func (l *loop) receive() (int, error) {
	all := 0
	for _, s := range l.sockets() {
		l.in.Clear(false)
		n, err := l.in.Recv(s, 256, 0)
		if err != nil {
			return all, err
		}
		all += n
		var frames [][]byte
		for i := range n {
			frames = l.in.Frames(i, frames[:0])
			l.take(s, frames)
		}
	}
	l.in.Clear(false)
	l.sweep()
	return all, nil
}

// retire closes a socket when nobody looks at it any more.
func (l *loop) retire(s *zmqsock.Socket) { l.retired, l.dirty = append(l.retired, s), true }

func (l *loop) sweep() {
	if len(l.retired) == 0 {
		return
	}
	l.flush()
	for _, s := range l.retired {
		_ = s.Close()
	}
	l.retired = nil
}

// take hands a message to the node, with who it came from.
func (l *loop) take(s *zmqsock.Socket, frames [][]byte) {
	var by machine.Peer
	switch {
	case s == l.own:
		if len(frames) == 0 || len(frames[0]) != 8 {
			return
		}
		by.Member = wire.MemberID(binary.BigEndian.Uint64(frames[0]))
		frames = frames[1:]
	case l.up != nil && s == l.up.sock:
		by.Member = l.up.to
	case l.far != nil && l.far.has(s):
		if by.Link, frames = l.far.linkOf(s, frames); by.Link == 0 {
			return
		}
	default:
		for id, w := range l.side {
			if w.sock == s {
				by.Member, w.used = id, l.now()
			}
		}
	}
	m, err := wire.Parse(frames)
	if err != nil {
		l.m.cfg.Logger.Debug("a message that is not POOL/1", "error", err)
		return
	}
	if m.Type == wire.Report {
		if tell := l.reports[by.Member]; tell != nil && by.Link == 0 {
			tell(*m.Note.Report)
		}
		return
	}
	m.Body = append([]byte(nil), m.Body...) // the batch's bytes end with it
	l.apply(l.node.Received(l.now(), by, m))
}

// Send sends a message, or loses it where nobody is.
func (l *loop) Send(to machine.Peer, m wire.Message) {
	frames, err := m.Frames()
	if err != nil {
		l.m.cfg.Logger.Error("a message cannot be written", "error", err)
		return
	}
	s, id := l.route(to, m.Type)
	if s == nil {
		return
	}
	l.out.Add(s, id, false)
	for _, f := range frames {
		l.out.Append(f)
	}
	if l.out.Len() >= 512 {
		l.flush()
	}
}

// route returns the socket for somebody, with the routing id where it is a ROUTER. Who begins dials; who answers, and a master, uses the connection that the other one has made.
func (l *loop) route(to machine.Peer, t wire.Type) (*zmqsock.Socket, []byte) {
	switch {
	case to.Link != 0:
		if l.far == nil {
			return nil, nil
		}
		return l.far.route(to.Link)
	case l.up != nil && l.up.to == to.Member:
		return l.up.sock, nil
	case t != wire.PollIs && t != wire.Query:
		if l.own == nil {
			return nil, nil
		}
		return l.own, binary.BigEndian.AppendUint64(nil, uint64(to.Member))
	case l.side[to.Member] != nil:
		w := l.side[to.Member]
		w.used = l.now()
		return w.sock, nil
	}
	return l.open(to.Member), nil
}

// open makes a connection to a member past the master.
func (l *loop) open(id wire.MemberID) *zmqsock.Socket {
	s, err := l.dial("ipc://" + l.m.dir.socket(id))
	if err != nil {
		l.m.cfg.Logger.Warn("no way to a member", "member", id, "error", err)
		return nil
	}
	l.side[id], l.dirty = &way{to: id, sock: s, used: l.now()}, true
	return s
}

func (l *loop) dial(ep string) (*zmqsock.Socket, error) {
	id := binary.BigEndian.AppendUint64(nil, uint64(l.m.me.ID))
	s, err := l.m.ctx.Open(zmqsock.Config{Kind: zmqsock.Dealer, Identity: string(id), Heartbeat: -1, RecvHWM: -1})
	if err != nil {
		return nil, err
	}
	if err := s.Connect(ep); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// flush sends what was written.
func (l *loop) flush() {
	l.out.Send()
	l.out.Reset()
}
