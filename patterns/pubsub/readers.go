package pubsub

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// readers is what a publisher knows of its subscribers' connections. It belongs to the sockets' goroutine, but for snapshot.
type readers struct {
	patience   time.Duration
	disconnect bool
	logger     *slog.Logger
	next       time.Duration // when to look

	mu   sync.Mutex
	byFD map[int]*reader
	cut  uint64 // connections ended
}

// reader is one connection.
type reader struct {
	conn    zmqsock.Conn
	name    string
	addr    string
	backlog zmqsock.Backlog
	since   time.Duration // when the backlog was what it is
	stuck   time.Duration // how long it is stuck; 0: it is not
	lost    uint64
}

func (r *reader) called() string {
	if r.name != "" {
		return r.name
	}
	return r.addr
}

// met notes a connection from its first word.
func (rs *readers) met(fd int, now time.Duration) {
	if fd < 0 || rs.byFD[fd] != nil {
		return
	}
	conn := zmqsock.Identify(fd)
	if !conn.Known() {
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.byFD == nil {
		rs.byFD = make(map[int]*reader)
	}
	rs.byFD[fd] = &reader{conn: conn, addr: conn.Peer(), since: now}
}

func (rs *readers) named(name string, fd int) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r := rs.byFD[fd]; r != nil {
		r.name = name
	}
}

// lost takes a report. Through a forwarder all reports come over its one connection, so that they add up under the last name.
func (rs *readers) lost(name string, fd int, n uint64, now time.Duration) {
	rs.met(fd, now)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.byFD[fd]
	if r == nil {
		return
	}
	if r.name = name; r.lost == 0 {
		rs.logger.Warn("a subscriber does not keep up: it has lost updates", "subscriber", name, "address", r.addr, "lost", n)
	}
	r.lost += n
}

// gone takes the end of a connection. Its descriptor may be another one's by now.
func (rs *readers) gone(fd int) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r := rs.byFD[fd]; r != nil {
		if _, there := r.conn.Backlog(); !there {
			delete(rs.byFD, fd)
		}
	}
}

// look asks the kernel how far each connection is behind, a few times within the patience, and returns when it wants to look again.
func (rs *readers) look(now time.Duration) time.Duration {
	if now < rs.next {
		return rs.next - now
	}
	rs.next = now + rs.patience/4
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for fd, r := range rs.byFD {
		b, there := r.conn.Backlog()
		switch {
		case !there:
			delete(rs.byFD, fd)
		case b.Waiting == 0 || b != r.backlog:
			r.backlog, r.since, r.stuck = b, now, 0
		case now-r.since >= rs.patience:
			rs.stand(r, now)
		}
	}
	return rs.patience / 4
}

// stand deals with a subscriber that takes nothing.
func (rs *readers) stand(r *reader, now time.Duration) {
	first := r.stuck == 0
	r.stuck = now - r.since
	if !first {
		return
	}
	rs.logger.Warn("a subscriber reads nothing: what it has no room for is lost to it", "subscriber", r.called(), "address", r.addr,
		"for", r.stuck.Round(time.Millisecond), "waiting_bytes", r.backlog.Waiting, "disconnect", rs.disconnect)
	if rs.disconnect {
		if err := r.conn.Hangup(); err != nil {
			rs.logger.Warn("a subscriber cannot be disconnected", "subscriber", r.called(), "error", err)
			return
		}
		rs.cut++
	}
}

// snapshot lists names, who is slow, and how many were disconnected for that. It is safe for use from any goroutine.
func (rs *readers) snapshot() (names []string, slow []Slow, cut uint64) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.byFD {
		if r.name != "" {
			names = append(names, r.name)
		}
		if r.stuck > 0 || r.lost > 0 {
			slow = append(slow, Slow{Name: r.called(), For: r.stuck, Waiting: r.backlog.Waiting, Lost: r.lost})
		}
	}
	slices.Sort(names)
	slices.SortFunc(slow, func(a, b Slow) int { return int(b.Lost) - int(a.Lost) })
	return names, slow, rs.cut
}
