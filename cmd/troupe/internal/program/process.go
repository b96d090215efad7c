package program

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one running program, the leader of its process group.
type process struct {
	cmd           *exec.Cmd
	stdin         *os.File
	stdout        *os.File
	stderr        *os.File
	replies       chan reply    // one place, so that what was not asked for is seen; closed at the end of its output
	quit          chan struct{} // closed when nobody wants replies any more
	gone          chan struct{} // closed when it has ended and its output is read
	words         words
	readers       sync.WaitGroup
	outputProblem error // why its output could not be read, once replies is closed

	mu     sync.Mutex
	reaped bool
}

// lastWords is how long output is read that others still hold open after the program has ended.
const lastWords = time.Second

// begin starts a command and the goroutines that look after it; they end with the program, after quit is closed.
func begin(s *Starter, cmd *exec.Cmd, f Framing, limit int, w words) (*process, error) {
	p := &process{cmd: cmd, replies: make(chan reply, 1), quit: make(chan struct{}), gone: make(chan struct{}), words: w}
	theirs, err := p.pipes()
	if err == nil {
		err = s.start(cmd)
	}
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		p.closePipes()
		return nil, err
	}
	p.readers.Add(2)
	go p.read(f, limit)
	go func() {
		defer p.readers.Done()
		p.words.copy(p.stderr)
	}()
	go p.reap()
	return p, nil
}

// pipes makes the pipes, and returns the program's ends of them.
func (p *process) pipes() (theirs []*os.File, err error) {
	pipe := func() (r, w *os.File) {
		if err != nil {
			return nil, nil
		}
		r, w, err = os.Pipe()
		return r, w
	}
	keep := func(f *os.File) *os.File {
		if f != nil {
			theirs = append(theirs, f)
		}
		return f
	}
	in, mine := pipe()
	out, outTheirs := pipe()
	said, saidTheirs := pipe()
	p.stdin, p.stdout, p.stderr = mine, out, said
	in, outTheirs, saidTheirs = keep(in), keep(outTheirs), keep(saidTheirs)
	if err == nil { // a nil *os.File is no nil io.Reader
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, outTheirs, saidTheirs
	}
	return theirs, err
}

func (p *process) closePipes() {
	for _, f := range []*os.File{p.stdin, p.stdout, p.stderr} {
		f.Close() // nil is refused, and closing twice too
	}
}

// read hands on replies until the output ends; what nobody wants is dropped.
func (p *process) read(f Framing, limit int) {
	defer p.readers.Done()
	defer close(p.replies)
	r := bufio.NewReader(p.stdout)
	for {
		said, err := f.decode(r, limit)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, os.ErrClosed) {
				p.outputProblem = err
				p.signal(syscall.SIGKILL) // nobody reads what it says any more, and it may wait for that
			}
			return
		}
		select {
		case p.replies <- said:
		case <-p.quit:
			_, _ = io.Copy(io.Discard, r) // so that it is not blocked in its last write
			return
		}
	}
}

// reap waits for the end of the program, ends what is left of its group, and then takes it from the process table: until then its number,
// the group's, is nobody else's.
func (p *process) reap() {
	defer close(p.gone)
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.mu.Lock()
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	p.reaped = true
	_ = p.cmd.Wait() // the state is asked for in fate
	p.mu.Unlock()
	limit := time.Now().Add(lastWords)
	_ = p.stdout.SetReadDeadline(limit)
	_ = p.stderr.SetReadDeadline(limit)
	p.readers.Wait()
	p.closePipes()
}

// signal sends a signal to the program and all it has started, if it still runs.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.cmd.Process.Pid, s) // it may end at this very moment
	}
}

// fate says how the program ended. It has.
func (p *process) fate() string {
	text := p.cmd.ProcessState.String()
	if p.outputProblem != nil {
		text = fmt.Sprintf("%v; it was ended: %s", p.outputProblem, text)
	}
	if last := p.words.last(); last != "" {
		text += fmt.Sprintf("; its last words: %q", last)
	}
	return text
}
