package keys_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
)

func newDir(t *testing.T) (keys.Dir, access.Key) {
	t.Helper()
	d, public, err := keys.Init(filepath.Join(t.TempDir(), "keys"))
	require.NoError(t, err)
	k, err := d.Public()
	require.NoError(t, err)
	require.Equal(t, public, k.String())
	return d, k
}

func TestInitIsPrivate(t *testing.T) {
	d, _ := newDir(t)
	for name, want := range map[string]os.FileMode{".": 0o700, keys.SecretFile: 0o600, keys.AuthorizedFile: 0o600} {
		st, err := os.Stat(filepath.Join(d.Path, name))
		require.NoError(t, err)
		require.Equal(t, want, st.Mode().Perm(), name)
	}
	secret, err := d.Secret()
	require.NoError(t, err)
	_, _, err = keys.Init(d.Path)
	require.ErrorIs(t, err, keys.ErrExists)
	again, err := d.Secret()
	require.NoError(t, err)
	require.Equal(t, secret, again, "keys that are there stay")
	open := filepath.Join(t.TempDir(), "open")
	require.NoError(t, os.Mkdir(open, 0o755))
	_, _, err = keys.Init(open)
	require.ErrorIs(t, err, keys.ErrExposed)
	require.ErrorContains(t, err, "chmod 700 "+open)
}

func TestSecretsThatOthersCanRead(t *testing.T) {
	d, broker := newDir(t)
	h, _, err := keys.Make(broker)
	require.NoError(t, err)
	peer := filepath.Join(t.TempDir(), "peer.key")
	require.NoError(t, os.WriteFile(peer, []byte(h.String()+"\n"), 0o600))
	text, err := keys.Load(peer)
	require.NoError(t, err)
	require.Equal(t, h.String(), text)
	secret := filepath.Join(d.Path, keys.SecretFile)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o777} {
		require.NoError(t, os.Chmod(secret, mode))
		_, err := d.Secret()
		require.ErrorIs(t, err, keys.ErrExposed)
		require.ErrorContains(t, err, fmt.Sprintf("%s has mode %04o", secret, mode))
		require.ErrorContains(t, err, "chmod 600 "+secret)
		require.NoError(t, os.Chmod(peer, mode))
		_, err = keys.Load(peer)
		require.ErrorIs(t, err, keys.ErrExposed)
		require.ErrorContains(t, err, "chmod 600 "+peer)
	}
	authorized := filepath.Join(d.Path, keys.AuthorizedFile)
	require.NoError(t, os.Chmod(authorized, 0o644))
	_, err = d.Book()
	require.NoError(t, err, "it holds no secret")
	require.NoError(t, os.Chmod(authorized, 0o664))
	_, err = d.Book()
	require.ErrorIs(t, err, keys.ErrExposed, "others could let themselves in")
}

func TestFilesThatAreNone(t *testing.T) {
	nowhere := keys.Dir{Path: filepath.Join(t.TempDir(), "none")}
	_, err := nowhere.Secret()
	require.ErrorIs(t, err, keys.ErrNoKeys)
	require.ErrorContains(t, err, "troupe keys init --keys "+nowhere.Path)
	require.ErrorIs(t, nowhere.Update(nil), keys.ErrNoKeys)
	require.Equal(t, keys.Stamp{}, nowhere.Stamp())
	d, _ := newDir(t)
	for text, want := range map[string]string{"": "has no key", "# only a comment\n": "has no key", "abc\n": "40 characters"} {
		require.NoError(t, os.WriteFile(filepath.Join(d.Path, keys.SecretFile), []byte(text), 0o600))
		_, err := d.Secret()
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, os.WriteFile(filepath.Join(d.Path, keys.AuthorizedFile), []byte("nonsense\n"), 0o600))
	_, err = d.Book()
	require.ErrorContains(t, err, "authorized: line 1")
}

func TestLoad(t *testing.T) {
	text, err := keys.Load("  ")
	require.NoError(t, err)
	require.Empty(t, text)
	_, err = keys.Load("troupe1-short")
	require.ErrorContains(t, err, "not copied whole")
	secret := "a-secret-that-was-cut-off-" + strings.Repeat("x", 40)
	_, err = keys.Load(secret)
	require.ErrorContains(t, err, "neither what")
	require.NotContains(t, err.Error(), secret)
	file := filepath.Join(t.TempDir(), "k")
	require.NoError(t, os.WriteFile(file, []byte("hello"), 0o600))
	_, err = keys.Load(file)
	require.ErrorContains(t, err, file)
	_, broker := newDir(t)
	h, public, err := keys.Make(broker)
	require.NoError(t, err)
	again, err := keys.PublicOf(h)
	require.NoError(t, err)
	require.Equal(t, public, again)
}

func TestUpdatesOfManyAtOnce(t *testing.T) {
	d, broker := newDir(t)
	before := d.Stamp()
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			_, public, err := keys.Make(broker)
			if err == nil {
				err = d.Update(func(b *access.Book) (*access.Book, error) {
					return b.With(access.Entry{Name: fmt.Sprintf("peer-%d", i), Key: public, Rights: access.Rights{Admin: true}})
				})
			}
			if err != nil {
				t.Errorf("update: %v", err)
			}
		})
	}
	all.Wait()
	b, err := d.Book()
	require.NoError(t, err)
	require.Len(t, b.Entries(), 16, "none is lost")
	require.NotEqual(t, before, d.Stamp())
	files, err := os.ReadDir(d.Path)
	require.NoError(t, err)
	require.Len(t, files, 2, "nothing is left behind")
}
