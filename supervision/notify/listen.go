package notify

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Listener hears one child. It belongs to one goroutine, and must be closed.
type Listener struct {
	fd   int
	name string
	said Said
}

// Said is what a child has said so far.
type Said struct {
	Beats    uint64        // how often WATCHDOG=1
	Asked    time.Duration // the last WATCHDOG_USEC; 0: none
	Ready    bool
	Stopping bool
	Gives    bool   // WATCHDOG=trigger: it cannot go on
	Status   string // the last STATUS
}

// Listen returns a Listener on a socket of the abstract namespace, whose name nobody can guess. It hears processes of the same user and of root only.
func Listen() (*Listener, error) {
	var b [16]byte
	_, _ = rand.Read(b[:])
	l := &Listener{name: "@troupe-" + hex.EncodeToString(b[:])}
	var err error
	if l.fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err == nil {
		if err = unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err == nil {
			err = unix.Bind(l.fd, &unix.SockaddrUnix{Name: l.name})
		}
		if err != nil {
			_ = unix.Close(l.fd)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("notify: no socket for the words of a child: %w", err)
	}
	return l, nil
}

// Env returns the variables for the environment of the child. Limit is within what time a pulse is expected, 0 for never.
func (l *Listener) Env(limit time.Duration) []string {
	env := []string{SocketVar + "=" + l.name}
	if limit > 0 {
		env = append(env, LimitVar+"="+strconv.FormatInt(limit.Microseconds(), 10))
	}
	return env
}

// Without returns an environment without the variables of this protocol: they are the words of another parent to another child.
func Without(env []string) []string {
	var kept []string
	for _, v := range env {
		if name, _, _ := strings.Cut(v, "="); name != SocketVar && name != LimitVar && name != ForVar {
			kept = append(kept, v)
		}
	}
	return kept
}

// maxMessage is the longest message that is read; sd_notify's own is 4 KiB.
const maxMessage = 4096

// Hear takes in what has come, without waiting, and returns all that the child has said so far.
func (l *Listener) Hear() Said {
	var text [maxMessage]byte
	var beside [64]byte
	for {
		n, m, _, _, err := unix.Recvmsg(l.fd, text[:], beside[:], unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return l.said
		}
		if ours(beside[:m]) {
			l.said.take(string(text[:n]))
		}
	}
}

// ours reports whether the credentials that came with a message are those of the same user, or of root.
func ours(beside []byte) bool {
	all, err := unix.ParseSocketControlMessage(beside)
	if err != nil || len(all) != 1 {
		return false
	}
	c, err := unix.ParseUnixCredentials(&all[0])
	return err == nil && (c.Uid == 0 || int(c.Uid) == os.Getuid())
}

func (s *Said) take(text string) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		switch name {
		case "WATCHDOG":
			switch value {
			case "1":
				s.Beats++
			case "trigger":
				s.Gives = true
			}
		case "WATCHDOG_USEC":
			if us, err := strconv.ParseInt(value, 10, 64); err == nil && us >= 0 && us < int64(1<<62)/1000 {
				s.Asked = time.Duration(us) * time.Microsecond
			}
		case "READY":
			s.Ready = s.Ready || value == "1"
		case "STOPPING":
			s.Stopping = s.Stopping || value == "1"
		case "STATUS":
			s.Status = value
		}
	}
}

// Close gives the socket back.
func (l *Listener) Close() { _ = unix.Close(l.fd) }
