package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// The files of a broker's folder.
const (
	SecretFile     = "broker.key" // the broker's secret key, mode 0600
	AuthorizedFile = "authorized" // who may come in, mode 0600; see access.Parse
)

// Errors that callers branch on.
var (
	ErrExists  = errors.New("there are keys already")
	ErrNoKeys  = errors.New("there are no keys")
	ErrExposed = errors.New("others can read or change it")
)

// Dir is a broker's folder of keys.
type Dir struct{ Path string }

const secretHead = "# The secret key of a troupe broker. Whoever reads it can pose as this broker: show it to nobody.\n"

// Init makes the folder (mode 0700) with a fresh key pair and an empty list, and returns the broker's public key. Keys that are there already stay: the error is
// ErrExists then.
func Init(path string) (Dir, string, error) {
	d := Dir{path}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return d, "", fmt.Errorf("the folder for keys cannot be made: %w: choose another one", err)
	}
	if err := private(path, 0o077, "700"); err != nil {
		return d, "", err
	}
	pair, err := zmqsock.NewKeyPair()
	if err != nil {
		return d, "", err
	}
	book, _ := access.NewBook()
	f, err := os.OpenFile(d.file(AuthorizedFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(book.Format())
		err = errors.Join(err, f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return d, "", fmt.Errorf("the list of keys cannot be written: %w", err)
	}
	f, err = os.OpenFile(d.file(SecretFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return d, "", fmt.Errorf("%s: %w: `troupe keys show` shows the public one; for another pair remove the file, and give all peers new keys", d.file(SecretFile), ErrExists)
	}
	if err == nil {
		_, err = f.WriteString(secretHead + pair.Secret + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return d, "", fmt.Errorf("the broker's key cannot be written: %w", err)
	}
	return d, pair.Public, nil
}

func (d Dir) file(name string) string { return filepath.Join(d.Path, name) }

// Secret reads the broker's secret key, in Z85.
func (d Dir) Secret() (string, error) {
	text, err := d.read(SecretFile, 0o077)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		if _, err := access.ParseKey(line); err != nil {
			return "", fmt.Errorf("%s: %w", d.file(SecretFile), err)
		}
		return line, nil
	}
	return "", fmt.Errorf("%s has no key in it: remove it and make one by `troupe keys init`", d.file(SecretFile))
}

// Public returns the broker's public key.
func (d Dir) Public() (access.Key, error) {
	secret, err := d.Secret()
	if err != nil {
		return access.Key{}, err
	}
	public, err := zmqsock.PublicKey(secret)
	if err != nil {
		return access.Key{}, err
	}
	return access.ParseKey(public)
}

// Book reads who may come in.
func (d Dir) Book() (*access.Book, error) {
	text, err := d.read(AuthorizedFile, 0o022)
	if err != nil {
		return nil, err
	}
	b, err := access.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.file(AuthorizedFile), err)
	}
	return b, nil
}

func (d Dir) read(name string, others fs.FileMode) (string, error) {
	path := d.file(name)
	if err := private(path, others, "600"); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%w in %s (%w): make them by `troupe keys init --keys %s`", ErrNoKeys, d.Path, err, d.Path)
		}
		return "", err
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

// private refuses a file or folder with rights for others among the given ones.
func private(path string, others fs.FileMode, remedy string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := st.Mode().Perm(); mode&others != 0 {
		return fmt.Errorf("%s has mode %04o: %w: `chmod %s %s`", path, mode, ErrExposed, remedy, path)
	}
	return nil
}

// Update changes the list. One at a time may do so; the file is replaced in one piece, so that a broker never reads half of it.
func (d Dir) Update(change func(*access.Book) (*access.Book, error)) error {
	lock, err := os.Open(d.Path)
	if err != nil {
		return fmt.Errorf("%w in %s (%w): make them by `troupe keys init --keys %s`", ErrNoKeys, d.Path, err, d.Path)
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("%s cannot be locked: %w", d.Path, err)
	}
	b, err := d.Book()
	if err != nil {
		return err
	}
	if b, err = change(b); err != nil {
		return err
	}
	return replace(d.file(AuthorizedFile), b.Format())
}

func replace(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("%s cannot be changed: %w", path, err)
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("%s cannot be changed: %w", path, err)
	}
	return nil
}

// Stamp tells one state of the list from another.
type Stamp struct {
	changed time.Time
	size    int64
	inode   uint64
}

// Stamp returns the list's present stamp, the zero value if it cannot be seen.
func (d Dir) Stamp() Stamp {
	var st unix.Stat_t
	if unix.Stat(d.file(AuthorizedFile), &st) != nil {
		return Stamp{}
	}
	return Stamp{time.Unix(st.Ctim.Unix()), st.Size, st.Ino}
}
