package access

import (
	"fmt"
	"strings"
)

// Denial is why something is refused: whose key, what it may, and the remedy.
type Denial string

// Error returns the text.
func (d Denial) Error() string { return string(d) }

// deny is the text of a denial; add is what would have to be granted.
func (e *Entry) deny(what, add string) error {
	return Denial(fmt.Sprintf("key %s (%s) may %s, and is refused as %s: the broker's operator can allow it by `troupe keys add %s --extend %s`",
		e.Key.Fingerprint(), e.Name, e.Rights, what, e.Name, add))
}

// Unknown is the denial for a key, in Z85, that the book does not have (any more).
func Unknown(z85 string) error {
	return Denial(fmt.Sprintf("key %s is not known here, or was revoked: the broker's operator gives out keys by `troupe keys add NAME --client SERVICE`", Fingerprint(z85)))
}

// MayEnter judges a client's HELLO: it must be allowed to open something, or to administer.
func (b *Book) MayEnter(z85 string) error {
	e := b.Find(z85)
	switch {
	case e == nil:
		return Unknown(z85)
	case len(e.Client) == 0 && !e.Admin:
		return e.deny("a client", "--client SERVICE")
	}
	return nil
}

// MayOpen judges a client's OPEN.
func (b *Book) MayOpen(z85, service string) error {
	e := b.Find(z85)
	switch {
	case e == nil:
		return Unknown(z85)
	case !e.Client.Has(service):
		return e.deny("a client of "+service, "--client "+quote(service))
	}
	return nil
}

// MayServe judges a worker's READY: it must be allowed to serve all it offers.
func (b *Book) MayServe(z85 string, services []string) error {
	e := b.Find(z85)
	if e == nil {
		return Unknown(z85)
	}
	var lacks []string
	for _, s := range services {
		if !e.Worker.Has(s) {
			lacks = append(lacks, s)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	const most = 8
	shown := strings.Join(lacks[:min(len(lacks), most)], ",")
	what := "a worker for " + shown
	if len(lacks) > most {
		what += fmt.Sprintf(" and %d more", len(lacks)-most)
	}
	return e.deny(what, "--worker "+quote(shown))
}

// MayAdmin judges ADMIN.
func (b *Book) MayAdmin(z85 string) error {
	e := b.Find(z85)
	switch {
	case e == nil:
		return Unknown(z85)
	case !e.Admin:
		return e.deny("an administrator", "--admin")
	}
	return nil
}

// safe are the characters that a shell takes as they are.
func safe(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("._-,/:@=+", r)
}

// quote makes a service's name safe for a shell where it needs it.
func quote(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return !safe(r)
	}) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
