package notify

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// The variables of sd_notify(3) and sd_watchdog_enabled(3).
const (
	SocketVar = "NOTIFY_SOCKET"
	LimitVar  = "WATCHDOG_USEC"
	ForVar    = "WATCHDOG_PID"
)

// Teller tells whoever has started this process how it is. A nil Teller tells nobody. Its methods are safe for concurrent use and never block.
type Teller struct {
	fd    int
	to    unix.Sockaddr
	limit time.Duration
}

// FromEnv returns the Teller that the environment asks for, nil where nobody listens, and takes the variables out of the environment: they are not for the
// programs that this one starts. A socket that cannot be made or is named wrongly is nobody.
func FromEnv() *Teller {
	name, limit, whom := os.Getenv(SocketVar), os.Getenv(LimitVar), os.Getenv(ForVar)
	for _, v := range []string{SocketVar, LimitVar, ForVar} {
		_ = os.Unsetenv(v)
	}
	if len(name) < 2 || name[0] != '/' && name[0] != '@' {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	t := &Teller{fd: fd, to: &unix.SockaddrUnix{Name: name}} // a leading @ means the abstract namespace
	if us, err := strconv.ParseInt(limit, 10, 64); err == nil && us > 0 && (whom == "" || whom == strconv.Itoa(os.Getpid())) {
		t.limit = time.Duration(us) * time.Microsecond
	}
	return t
}

// Limit returns within what time a pulse is expected, 0 for never.
func (t *Teller) Limit() time.Duration {
	if t == nil {
		return 0
	}
	return t.limit
}

// Beat gives a pulse.
func (t *Teller) Beat() { t.Say("WATCHDOG=1") }

// Trigger tells that the process cannot go on, and is to be ended now.
func (t *Teller) Trigger() { t.Say("WATCHDOG=trigger") }

// Ready tells that the process serves now.
func (t *Teller) Ready() { t.Say("READY=1") }

// Stopping tells that the process is about to end.
func (t *Teller) Stopping() { t.Say("STOPPING=1") }

// Say sends a message in the words of sd_notify(3).
func (t *Teller) Say(text string) {
	if t != nil {
		_ = unix.Sendto(t.fd, []byte(text), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, t.to) // who does not listen is no concern of ours
	}
}
