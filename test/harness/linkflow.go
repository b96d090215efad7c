package harness

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// pair is a connection through a link: two of the system's.
type pair struct {
	near net.Conn
	mu   sync.Mutex
	far  net.Conn // nil until the target has answered
	over chan struct{}
	once sync.Once
}

// join takes the connection to the target, unless the pair is over.
func (p *pair) join(far net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.over:
		return false
	default:
	}
	p.far = far
	return true
}

// close ends both connections at once, without a farewell: what is under way is lost.
func (p *pair) close() { p.end(reset) }

// end ends both connections in some way, once.
func (p *pair) end(way func(net.Conn)) {
	p.once.Do(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		close(p.over)
		way(p.near)
		if p.far != nil {
			way(p.far)
		}
	})
}

func shut(c net.Conn) { _ = c.Close() }

// reset closes a connection with RST in place of FIN.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// parcel is some bytes on their way.
type parcel struct {
	due   time.Time
	bytes []byte
}

const (
	linkChunk = 64 << 10
	linkQueue = 256 // parcels on their way; beyond it, who sends is held up
)

// carry passes bytes on one way, until their end, which it passes on, too; when something fails it ends the pair.
func (l *Link) carry(p *pair, from, to net.Conn, tap Tap) {
	way := make(chan parcel, linkQueue)
	var writing sync.WaitGroup
	writing.Go(func() {
		for one := range way {
			if !l.deliver(p, to, one) {
				p.close()
				return
			}
		}
		if tcp, ok := to.(*net.TCPConn); ok {
			_ = tcp.CloseWrite() // the other way goes on until its own end
		}
	})
	defer writing.Wait()
	defer close(way)
	for {
		buf := make([]byte, linkChunk)
		n, err := from.Read(buf)
		if tap != nil {
			tap(buf[:n])
		}
		if n > 0 {
			select {
			case way <- parcel{time.Now().Add(l.lag()), buf[:n]}:
			case <-p.over:
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				p.close()
			}
			return
		}
	}
}

func (l *Link) lag() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delay
}

// deliver writes a parcel when its time has come and the link passes something on.
func (l *Link) deliver(p *pair, to net.Conn, one parcel) bool {
	if wait := time.Until(one.due); wait > 0 {
		late := time.NewTimer(wait)
		defer late.Stop()
		select {
		case <-late.C:
		case <-p.over:
			return false
		}
	}
	if !l.passes(p) {
		return false
	}
	_, err := to.Write(one.bytes)
	return err == nil
}
