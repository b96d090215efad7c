package process

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// endFamily waits until the child has ended, and then kills what is left of its process group, before the child is reaped: until then nobody else can have its
// number, nor the group's.
func (p *Process) endFamily() {
	const size = 128 // of siginfo_t
	var info [size]byte
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, unix.P_PID, uintptr(p.cmd.Process.Pid), uintptr(unsafe.Pointer(&info[0])), unix.WEXITED|unix.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			break
		}
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // there may be nobody left
}

// Stand is how a process stands, by its first thread (proc_pid_stat(5)).
type Stand byte

// The ways to stand.
const (
	Unknown Stand = iota // it cannot be known, or the process has ended
	Runs                 // it runs, sleeps or waits
	Stopped              // it was stopped, as by SIGSTOP
	Traced               // a debugger holds it
)

// Stand looks how the child stands. It sends nothing, and needs nothing of the child.
func (p *Process) Stand() Stand {
	select {
	case <-p.gone:
		return Unknown
	default:
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return Unknown
	}
	switch state(stat) {
	case 'T':
		return Stopped
	case 't':
		return Traced
	case 0, 'Z', 'X':
		return Unknown
	}
	return Runs
}

// state is the third field of a stat file, 0 if it has none. The second field is the thread's name in brackets; it may hold anything.
func state(stat []byte) byte {
	at := strings.LastIndexByte(string(stat), ')')
	if at < 0 || at+2 >= len(stat) {
		return 0
	}
	return stat[at+2]
}

// ExitCode returns how the child ended as shells count: its exit status, or 128 and the number of the signal that ended it, which has a name then. It is
// valid once Done is closed.
func (p *Process) ExitCode() (code int, signal string) {
	if p.cmd.ProcessState == nil {
		return 1, ""
	}
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal()), unix.SignalName(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode(), ""
}
