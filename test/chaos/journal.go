package chaos

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
)

// Journal is the file in which services write down what runs, before anybody is told. All worker processes append to the same one: a write of one line is atomic.
// Its lines are:
//
//	B KEY NO SEQ PID THREAD NANOSECONDS    a call begins
//	E KEY NO                               it ends
//	C KEY PID THREAD                       the session is closed
type Journal struct{ file *os.File }

// OpenJournal opens the file.
func OpenJournal(name string) (*Journal, error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return &Journal{f}, err
}

// Begin notes that a call begins.
func (j *Journal) Begin(key string, no int, seq uint32, thread int) error {
	return j.write("B %s %d %d %d %d %d\n", key, no, seq, os.Getpid(), thread, Now())
}

// End notes that it ends.
func (j *Journal) End(key string, no int) error { return j.write("E %s %d\n", key, no) }

// Close notes that a session is closed.
func (j *Journal) Close(key string, thread int) error {
	return j.write("C %s %d %d\n", key, os.Getpid(), thread)
}

func (j *Journal) write(format string, args ...any) error {
	_, err := fmt.Fprintf(j.file, format, args...)
	return err
}

// Run is a call that has begun.
type Run struct {
	No     int
	Seq    uint32
	At     int64 // by Now
	Thread string
	Ended  bool
}

// Session is what ran under one key, in order of the journal.
type Session struct {
	Runs    []Run
	Closed  string // the thread of the close; empty: it was not closed
	Overlap string // two calls at the same time, the first time that was seen
	running *Run
}

// ReadJournal reads the file.
func ReadJournal(name string) (map[string]*Session, error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return map[string]*Session{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all := make(map[string]*Session)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if err := note(all, lines.Bytes()); err != nil {
			return nil, fmt.Errorf("chaos: journal %s: %w: %q", name, err, lines.Text())
		}
	}
	return all, lines.Err()
}

func note(all map[string]*Session, line []byte) error {
	fields := bytes.Fields(line)
	if len(fields) < 3 {
		return errors.New("too few fields")
	}
	key := string(fields[1])
	s := all[key]
	if s == nil {
		s = &Session{}
		all[key] = s
	}
	switch fields[0][0] {
	case 'B':
		return s.begin(line)
	case 'E':
		if s.running != nil {
			s.running.Ended, s.running = true, nil
		}
	case 'C':
		s.Closed = fmt.Sprintf("%s/%s", fields[2], fields[len(fields)-1])
	}
	return nil
}

func (s *Session) begin(line []byte) error {
	var r Run
	var key string
	var pid, thread int
	if _, err := fmt.Sscanf(string(line), "B %s %d %d %d %d %d", &key, &r.No, &r.Seq, &pid, &thread, &r.At); err != nil {
		return err
	}
	r.Thread = fmt.Sprintf("%d/%d", pid, thread)
	if s.running != nil && s.Overlap == "" {
		s.Overlap = fmt.Sprintf("call %d began on thread %s while call %d ran on thread %s", r.No, r.Thread, s.running.No, s.running.Thread)
	}
	s.Runs = append(s.Runs, r)
	s.running = &s.Runs[len(s.Runs)-1]
	return nil
}
