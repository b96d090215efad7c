package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// maxTicket is the most bytes of a ticket file that are read.
const maxTicket = 64 << 10

// ticketFile is a file with a hit's ticket. Whoever can read it can take the hit up.
type ticketFile struct{ path string }

// free reports why a ticket cannot be written there: another one must not be lost, nor be shown to others.
func (f ticketFile) free() error {
	switch info, err := os.Lstat(f.path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("--ticket %s: %w: name a file that can be made", f.path, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("--ticket %s is no file: name one that is not there yet", f.path)
	default:
		return fmt.Errorf("--ticket %s is there already: take up its hit by `troupe hit resume %s`, or remove it, or name another file", f.path, f.path)
	}
	folder := filepath.Dir(f.path)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return fmt.Errorf("--ticket %s: there is no folder %s: make it, or name another file", f.path, folder)
	}
	return nil
}

// write puts a ticket in place of what the file had, at once: whoever reads it finds one or the other.
func (f ticketFile) write(text string) error {
	fresh, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+".*") // mode 0600
	if err == nil {
		_, err = fresh.WriteString(text + "\n")
		err = errors.Join(err, fresh.Close())
		if err == nil {
			err = os.Rename(fresh.Name(), f.path)
		}
		if err != nil {
			_ = os.Remove(fresh.Name())
		}
	}
	if err != nil {
		return fmt.Errorf("the ticket cannot be written to %s: %w", f.path, err)
	}
	return nil
}

// read returns the ticket and what it says. A file that others can read or change is refused: they could have taken the hit up, or put another one there.
func (f ticketFile) read() (string, assigner.TicketAbout, error) {
	none := assigner.TicketAbout{}
	file, err := os.Open(f.path)
	if err != nil {
		return "", none, fmt.Errorf("the ticket cannot be read: %w: name the file that --ticket has written", err)
	}
	defer file.Close()
	switch info, err := file.Stat(); {
	case err != nil:
		return "", none, fmt.Errorf("the ticket cannot be read: %w", err)
	case !info.Mode().IsRegular():
		return "", none, fmt.Errorf("%s is no file: name the one that --ticket has written", f.path)
	case info.Mode().Perm()&0o077 != 0:
		return "", none, fmt.Errorf("%s has mode %04o, others can read or change it, and so take up its hit: chmod 600 %s if nobody has", f.path, info.Mode().Perm(), f.path)
	case info.Size() > maxTicket:
		return "", none, fmt.Errorf("%s has %d bytes and is no ticket: name the file that --ticket has written", f.path, info.Size())
	}
	text, err := io.ReadAll(io.LimitReader(file, maxTicket))
	if err != nil {
		return "", none, fmt.Errorf("the ticket cannot be read: %w", err)
	}
	about, err := assigner.AboutTicket(string(text))
	if err != nil {
		return "", none, fmt.Errorf("%s: %w", f.path, err)
	}
	return string(text), about, nil
}

// remove takes the file away: its hit is over.
func (f ticketFile) remove() error {
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the hit of %s is over, but the file cannot be removed: %w", f.path, err)
	}
	return nil
}
