package access

import (
	"fmt"
	"slices"
	"strings"
)

// Entry is one peer that may come in.
type Entry struct {
	Name string
	Key  Key // its public key
	Rights
}

// Book is who may come in, and what for. It is never changed: With and Without return other books. A nil Book is empty.
type Book struct {
	entries []*Entry // by name
	byKey   map[string]*Entry
}

// limits of a book's file.
const (
	MaxName    = 64      // characters of a peer's name
	MaxEntries = 100_000 // lines
)

// CheckName judges the name of a peer.
func CheckName(name string) error {
	if len(name) == 0 || len(name) > MaxName {
		return fmt.Errorf("the name of a key has %d characters: from 1 to %d are possible", len(name), MaxName)
	}
	for i, c := range []byte(name) {
		letter := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || !strings.ContainsRune("._-@", rune(c))) {
			return fmt.Errorf("the name %q: letters, digits and . _ - @ are possible, a letter or digit first", name)
		}
	}
	return nil
}

// NewBook returns a book of entries. No name and no key may come twice.
func NewBook(entries ...Entry) (*Book, error) {
	b := &Book{byKey: make(map[string]*Entry, len(entries))}
	names := make(map[string]bool, len(entries))
	for i := range entries {
		e := entries[i]
		if err := CheckName(e.Name); err != nil {
			return nil, err
		}
		if names[e.Name] {
			return nil, fmt.Errorf("the name %q comes twice: give each key a name of its own", e.Name)
		}
		z := e.Key.String()
		if other := b.byKey[z]; other != nil {
			return nil, fmt.Errorf("%q and %q have the same key %s: give each peer a key of its own", other.Name, e.Name, e.Key.Fingerprint())
		}
		names[e.Name], b.byKey[z] = true, &e
		b.entries = append(b.entries, &e)
	}
	slices.SortFunc(b.entries, func(x, y *Entry) int { return strings.Compare(x.Name, y.Name) })
	return b, nil
}

// Parse reads the file of a book: a line for each peer, with its name, its public key in Z85, and its rights, between blanks. Empty lines and lines
// that begin with # are skipped. An error names the line.
func Parse(text string) (*Book, error) {
	var entries []Entry
	lines := make(map[string]int) // of names and keys
	n := 0
	for line := range strings.Lines(text) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		e, err := parseLine(words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		for _, once := range []string{e.Name, e.Key.String()} {
			if first := lines[once]; first > 0 {
				return nil, fmt.Errorf("line %d: name or key is that of line %d already: each may come once", n, first)
			}
			lines[once] = n
		}
		if entries = append(entries, e); len(entries) > MaxEntries {
			return nil, fmt.Errorf("line %d: at most %d keys are possible", n, MaxEntries)
		}
	}
	return NewBook(entries...)
}

func parseLine(words []string) (Entry, error) {
	var e Entry
	if err := CheckName(words[0]); err != nil {
		return e, err
	}
	e.Name = words[0]
	if len(words) < 3 {
		return e, fmt.Errorf("%q has %d words: a name, a public key and at least one right are needed", e.Name, len(words))
	}
	var err error
	if e.Key, err = ParseKey(words[1]); err != nil {
		return e, fmt.Errorf("%q: %w", e.Name, err)
	}
	for _, word := range words[2:] {
		if err := e.add(word); err != nil {
			return e, fmt.Errorf("%q: %w", e.Name, err)
		}
	}
	return e, nil
}

// Format returns the file of the book. Parse reads it again.
func (b *Book) Format() string {
	text := &strings.Builder{}
	text.WriteString("# Who may come in, and what for: name, public key (Z85), rights. Kept by `troupe keys`; the broker reads it again when it changes.\n")
	for _, e := range b.Entries() {
		fmt.Fprintf(text, "%s %s %s\n", e.Name, e.Key, strings.Join(e.words(), " "))
	}
	return text.String()
}

// Entries returns all entries by name. They must not be changed.
func (b *Book) Entries() []*Entry {
	if b == nil {
		return nil
	}
	return b.entries
}

// Find returns the entry of a public key in Z85, nil if there is none.
func (b *Book) Find(z85 string) *Entry {
	if b == nil {
		return nil
	}
	return b.byKey[z85]
}

// Named returns the entry of a name, nil if there is none.
func (b *Book) Named(name string) *Entry {
	i, found := slices.BinarySearchFunc(b.Entries(), name, func(e *Entry, n string) int { return strings.Compare(e.Name, n) })
	if !found {
		return nil
	}
	return b.entries[i]
}

// With returns the book with an entry more, in place of the one with its name if there is one.
func (b *Book) With(e Entry) (*Book, error) { return NewBook(append(b.others(e.Name), e)...) }

// Without returns the book without the entry of a name.
func (b *Book) Without(name string) *Book {
	rest, _ := NewBook(b.others(name)...) // part of a good one
	return rest
}

func (b *Book) others(name string) []Entry {
	var rest []Entry
	for _, e := range b.Entries() {
		if e.Name != name {
			rest = append(rest, *e)
		}
	}
	return rest
}
