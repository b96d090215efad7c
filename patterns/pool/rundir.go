package pool

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/patterns/pool/machine/election"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// rundir is where the members of a pool meet on a host. All that is in it is made whole: a file is written and locked under another name and then linked, so nobody ever sees half of one,
// or one that is not locked yet. The kernel frees the locks of a process that ends, however it ends.
type rundir struct {
	path string
	made int
}

// maxSocketPath is the most bytes of a Unix socket's path (sockaddr_un).
const maxSocketPath = 107

// openRundir makes the directory of a pool, or checks the one that is there.
func openRundir(dir, pool string) (*rundir, error) {
	bad := func(path string, err error, remedy string) error {
		return fmt.Errorf("pool: %s: %w: %w: %s", path, ErrRunDir, err, remedy)
	}
	d := &rundir{path: filepath.Join(dir, pool)}
	if n := len(d.socket(1 << 63)); n > maxSocketPath {
		return nil, fmt.Errorf("pool: %s: %w: it has %d bytes, and a Unix socket's at most %d: choose a shorter run directory (--run-dir) or name", d.socket(1<<63), ErrTooLong, n, maxSocketPath)
	}
	for _, path := range []string{dir, d.path} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, bad(path, err, "choose another one (--run-dir), or make it writable")
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return nil, bad(path, err, "choose another one (--run-dir)")
		}
		switch {
		case st.Mode&unix.S_IFMT != unix.S_IFDIR:
			return nil, bad(path, errors.New("it is no directory"), "choose another one (--run-dir)")
		case int(st.Uid) != os.Geteuid():
			return nil, bad(path, fmt.Errorf("it belongs to user %d", st.Uid), "the members of a pool on one host run as one user")
		case st.Mode&0o077 != 0:
			return nil, bad(path, fmt.Errorf("it has mode %04o, others can enter", st.Mode&0o777), "`chmod 700 "+path+"`")
		}
	}
	if err := unix.Access(d.path, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		return nil, bad(d.path, err, "`chmod 700 "+d.path+"`")
	}
	return d, nil
}

func (d *rundir) file(name string) string { return filepath.Join(d.path, name) }

func (d *rundir) socket(id wire.MemberID) string { return d.file(id.String() + ".s") }

func (d *rundir) member(id wire.MemberID) string { return d.file("m-" + id.String()) }

func (d *rundir) term(n uint64) string { return d.file(fmt.Sprintf("t-%020d", n)) }

// put writes a value into a file that is locked as long as what is returned is open. The error is fs.ErrExist where there is such a file.
func (d *rundir) put(path string, v any) (*os.File, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d.made++
	draft := d.file(fmt.Sprintf(".%d-%d-%d", os.Getpid(), randomID(), d.made))
	f, err := os.OpenFile(draft, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(draft) }()
	err = lock(f)
	if err == nil {
		_, err = f.Write(append(text, '\n'))
	}
	if err == nil {
		err = os.Link(draft, path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// lock takes a lock that belongs to the open file, and ends with it (fcntl(2), open file description locks).
func lock(f *os.File) error {
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}

// read reads a file and reports whether somebody holds its lock.
func (d *rundir) read(path string, v any) (held bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	l := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l); err != nil {
		return false, err
	}
	held = l.Type != unix.F_UNLCK
	return held, json.NewDecoder(f).Decode(v)
}

// names returns what begins with a prefix.
func (d *rundir) names(prefix string) []string {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil
	}
	var all []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			all = append(all, e.Name())
		}
	}
	return all // sorted by name
}

// terms returns the numbers of the terms, the highest last.
func (d *rundir) terms() []uint64 {
	var all []uint64
	for _, name := range d.names("t-") {
		if n, err := strconv.ParseUint(name[2:], 10, 64); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// seen returns the highest term. A file that nobody holds, or that cannot be read, as after a power loss, is a term that is over.
func (d *rundir) seen() election.Seen {
	all := d.terms()
	if len(all) == 0 {
		return election.Seen{}
	}
	s := election.Seen{Term: all[len(all)-1]}
	held, err := d.read(d.term(s.Term), &s.Master)
	s.Held = held && err == nil && s.Master.ID != 0
	return s
}

// keptTerms is how many old terms stay: whoever looked long ago must not make one again.
const keptTerms = 16

// claim makes a term's file. It returns nil where the term has, or had, a master, or a later one has.
func (d *rundir) claim(n uint64, me wire.Record) (*os.File, error) {
	f, err := d.put(d.term(n), me)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := d.terms()
	if all[len(all)-1] != n { // we looked so long ago that the number had been swept away
		_ = f.Close()
		return nil, nil
	}
	for _, old := range all[:max(0, len(all)-keptTerms)] {
		_ = os.Remove(d.term(old))
	}
	return f, nil
}

// living returns the members whose locks are held, and sweeps away what others left behind.
func (d *rundir) living() []wire.Record {
	var all []wire.Record
	for _, name := range d.names("m-") {
		var r wire.Record
		held, err := d.read(d.file(name), &r)
		switch {
		case held && err == nil:
			all = append(all, r)
		case err == nil || !errors.Is(err, fs.ErrNotExist) && !held:
			_ = os.Remove(d.file(strings.TrimPrefix(name, "m-") + ".s"))
			_ = os.Remove(d.file(strings.TrimPrefix(name, "m-") + ".s.lock"))
			_ = os.Remove(d.file(name))
		}
	}
	return all
}

// host returns the id of this host's life: the run directory's, mixed with the boot's.
func (d *rundir) host(boot string) (wire.HostID, error) {
	var own struct {
		ID uint64 `json:"id"`
	}
	own.ID = randomID() >> 12 // exact in every JSON
	f, err := d.put(d.file("host"), own)
	switch {
	case err == nil:
		_ = f.Close()
	case !errors.Is(err, fs.ErrExist):
		return 0, err
	}
	if _, err := d.read(d.file("host"), &own); err != nil {
		_ = os.Remove(d.file("host")) // half of it was lost with the power
		return 0, fmt.Errorf("pool: %s: %w: it cannot be read and was removed: try again", d.file("host"), err)
	}
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %s", own.ID, boot)
	return wire.HostID(h.Sum64()), nil
}

// randomID returns a number whose first byte is not zero, as ZeroMQ wants it of identities.
func randomID() uint64 {
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // it never fails
		if b[0] != 0 {
			return binary.BigEndian.Uint64(b[:])
		}
	}
}
