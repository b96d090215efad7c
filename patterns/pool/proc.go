package pool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/patterns/pool/machine/vote"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// procFile returns a file of a process; empty if there is none.
func procFile(pid int, name string) []byte {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return nil
	}
	return b
}

// statFields returns the fields of a stat file behind the name, the state first (proc_pid_stat(5), field 3). The name may hold anything.
func statFields(stat []byte) []string {
	at := bytes.LastIndexByte(stat, ')')
	if at < 0 {
		return nil
	}
	return strings.Fields(string(stat[at+1:]))
}

// startOf returns when a process began, in clock ticks after boot; 0 if there is none.
func startOf(pid int) uint64 {
	fields := statFields(procFile(pid, "stat"))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return 0
	}
	n, _ := strconv.ParseUint(fields[19], 10, 64)
	return n
}

// spaceOf returns the PID namespace that this process sees.
func spaceOf() uint64 {
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/pid", &st) != nil {
		return 0
	}
	return st.Ino
}

func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// handle is a process by its own handle (pidfd_open(2)): its number may become another's, the handle never does.
type handle struct{ file *os.File }

var errOther = errors.New("it is not that process any more")

// openHandle takes the handle of a member's process, if it is still that one.
func openHandle(r wire.Record) (*handle, error) {
	if r.Space != spaceOf() {
		return nil, errors.New("it lives in another PID namespace")
	}
	fd, err := unix.PidfdOpen(r.PID, unix.O_NONBLOCK)
	if errors.Is(err, unix.EINVAL) { // before Linux 5.10 it cannot be non-blocking from the start
		if fd, err = unix.PidfdOpen(r.PID, 0); err == nil {
			err = unix.SetNonblock(fd, true)
		}
	}
	if err != nil {
		return nil, errOther
	}
	// Looked at after the handle was taken: whatever has the number now, the handle has, too.
	if startOf(r.PID) != r.Start {
		_ = unix.Close(fd)
		return nil, errOther
	}
	return &handle{os.NewFile(uintptr(fd), "pidfd")}, nil
}

// wait returns true when the process has ended, false when the handle was closed.
func (h *handle) wait() bool {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return false
	}
	ended := false
	err = raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		ended = err == nil && n > 0
		return ended
	})
	return err == nil && ended
}

// kill ends the process, whatever it is doing.
func (h *handle) kill() error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) }); err != nil {
		return err
	}
	return failed
}

func (h *handle) close() { _ = h.file.Close() }

// sample says what the kernel knows of a master's process.
func sample(at time.Duration, d *rundir, term uint64, r wire.Record) vote.Sample {
	s := vote.Sample{At: at, Foreign: r.Space != spaceOf()}
	var holder wire.Record
	held, err := d.read(d.term(term), &holder)
	s.Held = held && err == nil && holder.ID == r.ID
	s.Bound = bound(r.Socket)
	if s.Foreign {
		return s
	}
	s.Alive = startOf(r.PID) == r.Start
	s.Traced = tracer(r.PID) != 0
	s.Frozen = groupFrozen(r.PID)
	threads(r.PID, &s)
	return s
}

// threads sums up what the threads of a process are doing (proc_pid_stat(5), and schedstat: ns on a processor, ns ready without one).
func threads(pid int, s *vote.Sample) {
	dirs, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return
	}
	s.Stopped = len(dirs) > 0
	for _, dir := range dirs {
		stat, _ := os.ReadFile(dir + "/stat")
		fields := statFields(stat)
		if len(fields) == 0 {
			continue // the thread has ended
		}
		s.Stopped = s.Stopped && fields[0] == "T"
		s.Blocked = s.Blocked || fields[0] == "D"
		b, _ := os.ReadFile(dir + "/schedstat")
		if times := strings.Fields(string(b)); len(times) >= 2 {
			ran, _ := strconv.ParseInt(times[0], 10, 64)
			waited, _ := strconv.ParseInt(times[1], 10, 64)
			s.CPU, s.Waited = s.CPU+time.Duration(ran), s.Waited+time.Duration(waited)
		}
	}
}

// tracer returns the process of a debugger.
func tracer(pid int) int {
	for line := range strings.Lines(string(procFile(pid, "status"))) {
		if text, ok := strings.CutPrefix(line, "TracerPid:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(text))
			return n
		}
	}
	return 0
}

// groupFrozen reports whether the process's control group is frozen, as by a container's pause.
func groupFrozen(pid int) bool {
	for line := range strings.Lines(string(procFile(pid, "cgroup"))) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			b, _ := os.ReadFile(filepath.Join("/sys/fs/cgroup", path, "cgroup.events"))
			return strings.Contains(string(b), "frozen 1")
		}
	}
	return false
}

// bound reports whether somebody listens at a socket's path: the kernel accepts, whatever the process is doing.
func bound(path string) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true // nothing can be said against it
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	return err == nil || errors.Is(err, unix.EAGAIN)
}
