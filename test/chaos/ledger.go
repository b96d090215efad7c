package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Told is what a caller was told of a call, once it has ended.
type Told struct {
	Key     string `json:"key"`               // of the hit, the client's own choice
	No      int    `json:"no"`                // of the call within its hit
	Kind    string `json:"kind"`              // routed, direct, resumable, one-shot, stream
	Replied bool   `json:"replied,omitempty"` // else Status and Outcome say why not
	Status  string `json:"status,omitempty"`
	Outcome string `json:"outcome,omitempty"`
	Count   int    `json:"count,omitempty"` // how many calls of the hit had run with this one, as the reply says
	Lost    bool   `json:"lost,omitempty"`  // nobody has ended it: the caller's own patience has
	Wrong   string `json:"wrong,omitempty"` // what was wrong with the answer itself
	// Over is when the broker told the caller that the hit is over, by Now; 0: it did not.
	Over int64 `json:"over,omitempty"`
}

// Now returns the host's monotonic clock in nanoseconds, which all processes share.
func Now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic("chaos: no monotonic clock: " + err.Error())
	}
	return t.Nano()
}

// Ledger keeps what callers were told. It is safe for concurrent use.
type Ledger struct {
	mu   sync.Mutex
	all  []Told
	file *os.File // nil: it is kept in memory
}

// OpenLedger returns a ledger that writes each entry to a file at once, so that it stays when its process is killed.
func OpenLedger(name string) (*Ledger, error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return &Ledger{file: f}, err
}

// Note adds an entry.
func (l *Ledger) Note(t Told) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		l.all = append(l.all, t)
		return
	}
	line, err := json.Marshal(t)
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	if err != nil {
		panic("chaos: the ledger cannot be written: " + err.Error())
	}
}

// Entries returns what was noted in memory.
func (l *Ledger) Entries() []Told {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Told(nil), l.all...)
}

// ReadLedger reads a ledger's file. The last line may be missing its end: its process was killed.
func ReadLedger(name string) ([]Told, error) {
	f, err := os.Open(name)
	if os.IsNotExist(err) {
		return nil, nil // its process was killed before it was told anything
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Told
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var t Told
		if err := json.Unmarshal(line, &t); err != nil {
			return nil, fmt.Errorf("chaos: ledger %s: %w: %.80q", name, err, line)
		}
		all = append(all, t)
	}
}
