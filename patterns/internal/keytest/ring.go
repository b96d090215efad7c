// Package keytest makes keys for the tests of patterns.
package keytest

import (
	"path/filepath"
	"testing"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
)

// Ring is a folder of keys, as `troupe keys init` makes it.
type Ring struct {
	Path string

	t      *testing.T
	dir    keys.Dir
	public access.Key
}

// New makes a folder that the test takes along.
func New(t *testing.T) *Ring {
	t.Helper()
	dir, _, err := keys.Init(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := dir.Public()
	if err != nil {
		t.Fatal(err)
	}
	return &Ring{Path: dir.Path, t: t, dir: dir, public: public}
}

// Grant lists a new key, which may be a client of these services, and returns what its owner is handed.
func (r *Ring) Grant(name string, services ...string) string {
	r.t.Helper()
	handed, public, err := keys.Make(r.public)
	if err != nil {
		r.t.Fatal(err)
	}
	err = r.dir.Update(func(b *access.Book) (*access.Book, error) {
		return b.With(access.Entry{Name: name, Key: public, Rights: access.Rights{Client: access.Services(services)}})
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return handed.String()
}
