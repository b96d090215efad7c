package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile is the most bytes of a file: far more than all keys need.
const maxFile = 1 << 20

// Entry is one key that a file sets.
type Entry struct {
	Section, Key string
	Texts        []string // the value as flags take it; several of a list
	Line, Column int      // of the value, from 1
}

// File is a configuration file that was read and found good.
type File struct {
	Path    string
	Entries []Entry
}

// find returns what the file says of a key, nil if it says nothing.
func (f *File) find(section, key string) *Entry {
	if f == nil {
		return nil
	}
	for i := range f.Entries {
		if e := &f.Entries[i]; e.Section == section && e.Key == key {
			return e
		}
	}
	return nil
}

// FileError is what is wrong in a file, and where.
type FileError struct {
	Path         string
	Line, Column int    // from 1; 0: the file as a whole
	Text         string // what was found, and what is wanted
	Excerpt      string // the line and a mark below it; empty where it would show a secret
}

// Error returns the place and the text.
func (e *FileError) Error() string {
	if e.Line == 0 {
		return e.Path + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.Path, e.Line, e.Column, e.Text)
}

// Load reads a file and checks all of it. The error is a *FileError where the file could be read.
func Load(path string, s *Schema) (*File, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the configuration file cannot be read: %w: name another one with --config, or /dev/null for none", err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("the configuration file cannot be read: %w: name another one with --config, or /dev/null for none", err)
	}
	f, err := Parse(path, data, s)
	if err != nil {
		return nil, err
	}
	return f, f.keepsSecrets(r)
}

// handed begins every key that troupe keys add prints.
const handed = "troupe1-"

// keepsSecrets refuses a file that holds a key, not only the path of one, and that others can read.
func (f *File) keepsSecrets(r *os.File) error {
	info, err := r.Stat()
	if err != nil {
		return err
	}
	for _, e := range f.Entries {
		if Secret(e.Key) && strings.HasPrefix(e.Texts[0], handed) && info.Mode().Perm()&0o077 != 0 {
			return &FileError{
				Path: f.Path, Line: e.Line, Column: e.Column,
				Text: fmt.Sprintf("%s holds a key, and others can read the file (mode %04o): chmod 600 %s, or name a file with the key", keyName(e.Section, e.Key), info.Mode().Perm(), f.Path),
			}
		}
	}
	return nil
}

// keyName is how a person finds the key in the file.
func keyName(section, key string) string {
	if section == Common {
		return key
	}
	return section + "." + key
}

// source is the text of a file, for the excerpts in errors.
type source struct {
	path  string
	lines [][]byte
}

func newSource(path string, data []byte) *source {
	return &source{path: path, lines: bytes.Split(data, []byte("\n"))}
}

// fail makes an error at a place.
func (s *source) fail(line, column int, format string, values ...any) error {
	e := &FileError{Path: s.path, Line: max(line, 1), Column: max(column, 1), Text: fmt.Sprintf(format, values...)}
	if e.Line > len(s.lines) {
		return e
	}
	text := strings.TrimRight(strings.ToValidUTF8(string(s.lines[e.Line-1]), "?"), "\r")
	if len(text) > 160 || mayBeSecret(text) {
		return e
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) {
			return ' '
		}
		return r
	}, text)
	head := fmt.Sprintf("%4d | ", e.Line)
	e.Excerpt = head + text + "\n" + strings.Repeat(" ", len(head)+e.Column-1) + "^"
	return e
}

// mayBeSecret is true for every line on which a key may be written.
func mayBeSecret(line string) bool {
	return strings.Contains(line, handed) || strings.Contains(strings.ReplaceAll(strings.ToLower(line), `"`, ""), "key")
}

// ExcerptOf returns the lines of the file that an error is about, "" if there are none.
func ExcerptOf(err error) string {
	var e *FileError
	if errors.As(err, &e) {
		return e.Excerpt
	}
	return ""
}
