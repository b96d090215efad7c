package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/cmd/troupe/internal/settings"
)

// terminal is a command on a terminal of its own.
type terminal struct {
	*process
	keys  *os.File
	mu    sync.Mutex
	shown []byte
}

// onTerminal starts the command on a terminal of 110 columns and 30 lines.
func onTerminal(t *testing.T, broker string, words ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 110}))
	p := &process{t: t, cmd: exec.Command(os.Args[0], words...), out: newLines(), err: newLines(), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asTroupe+"=1", broker, settings.ConfigVar+"=/dev/null", "TERM=xterm-256color")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, onThread0(p.cmd.Start))
	require.NoError(t, slave.Close())
	on := &terminal{process: p, keys: master}
	go on.read()
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait() // asked for in exit
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.gone
		_ = master.Close()
	})
	return on
}

func (o *terminal) read() {
	block := make([]byte, 4096)
	for {
		n, err := o.keys.Read(block)
		o.mu.Lock()
		o.shown = append(o.shown, block[:n]...)
		o.mu.Unlock()
		if err != nil {
			return // all that had it open are gone
		}
	}
}

func (o *terminal) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.shown)
}

// sees waits until a text was shown.
func (o *terminal) sees(text string) {
	o.t.Helper()
	require.Eventually(o.t, func() bool { return strings.Contains(o.text(), text) }, safety, 20*time.Millisecond, "%q is not shown", text)
}

func (o *terminal) press(keys string) {
	o.t.Helper()
	_, err := o.keys.WriteString(keys)
	require.NoError(o.t, err)
}
