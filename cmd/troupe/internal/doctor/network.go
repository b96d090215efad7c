package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"
)

func (v *visit) connect(ctx context.Context) Finding {
	f := Finding{Step: "connect"}
	var err error
	if v.conn, err = v.dial(ctx); err == nil {
		f.OK, f.What = true, "connected to "+v.conn.RemoteAddr().String()
		if v.conn.RemoteAddr().String() == "" {
			f.What = "connected"
		}
		return f
	}
	f.What = err.Error()
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		f.Why, f.Next = "the host's name is not known here", "correct the name, or write the address"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Why, f.Next = "the host is there, but nobody listens at that port", "start the broker (`troupe broker`), or name its endpoint; it prints it when it starts"
	case errors.Is(err, fs.ErrNotExist):
		f.Why, f.Next = "there is no such socket", "start the broker (`troupe broker`), or name its endpoint; it prints it when it starts"
	case errors.Is(err, fs.ErrPermission):
		f.Why, f.Next = "this user may not open the socket", "run as the broker's user, or give this one the right to the socket's file"
	case errors.As(err, &timeout) && timeout.Timeout():
		f.Why, f.Next = "nothing comes back: the host is away, or a firewall drops what is sent to this port", "look at the firewall on both sides, then `ping` the host"
	default:
		f.Why, f.Next = "the host cannot be reached from here", "`ip route get HOST` shows the way to it"
	}
	return f
}

// The greeting of ZMTP 3: signature, version, mechanism, who is the server.
const greetingSize = 64

func (v *visit) mechanism() string {
	if v.curve() {
		return "CURVE"
	}
	return "NULL"
}

func (v *visit) greeting(context.Context) Finding {
	f := Finding{Step: "greeting"}
	ours := make([]byte, 11)
	ours[0], ours[8], ours[9], ours[10] = 0xff, 1, 0x7f, 3
	_ = v.conn.SetDeadline(time.Now().Add(v.Timeout))
	_, err := v.conn.Write(ours) // up to the version: one that hears of another mechanism closes before it has told its own
	theirs := make([]byte, greetingSize)
	n := 0
	if err == nil {
		n, err = io.ReadFull(v.conn, theirs)
	}
	_ = v.conn.Close()
	isZMTP := n >= 10 && theirs[0] == 0xff && theirs[9]&1 == 1
	switch {
	case n == 0:
		f.What = fmt.Sprintf("no word came back: %v", err)
		f.Why, f.Next = "the process stands still, has no descriptor left for this connection, or is no ZeroMQ", "look at the broker's log, and at who listens there: `ss -ltnp`"
	case !isZMTP:
		f.What = fmt.Sprintf("the answer begins with %q", theirs[:min(n, 16)])
		f.Why, f.Next = "whoever listens there does not speak ZeroMQ", "name the broker's endpoint with --broker; `ss -ltnp` shows who listens where"
	case n < greetingSize || theirs[10] < 3:
		f.What = fmt.Sprintf("ZMTP %d, %d bytes of greeting", theirs[10], n)
		f.Why, f.Next = "that is a ZeroMQ older than 4.0", "name the broker's endpoint with --broker, or update what listens there"
	default:
		v.compare(&f, theirs)
	}
	return f
}

// compare looks at what the other end says of itself.
func (v *visit) compare(f *Finding, theirs []byte) {
	mechanism := strings.TrimRight(string(theirs[12:32]), "\x00")
	f.What = fmt.Sprintf("ZMTP %d.%d, mechanism %s", theirs[10], theirs[11], mechanism)
	switch {
	case mechanism == v.mechanism():
		f.OK = true
	case mechanism == "CURVE":
		f.Why, f.Next = "the broker lets only peers with a key in, and none was given", "ask its operator for one (`troupe keys add NAME --client SERVICE`), then give it with --key or TROUPE_KEY"
	case mechanism == "NULL":
		f.Why, f.Next = "a key was given, but this broker does not encrypt: it may be another one, or was started without --keys", "start the broker with --keys, or leave the key out (unset TROUPE_KEY) if that broker is meant"
	default:
		f.Why, f.Next = "that is no broker of troupe's", "name the broker's endpoint with --broker"
	}
}
