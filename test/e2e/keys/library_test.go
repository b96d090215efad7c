package keys_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

// TestPythonLibrary: worker and client in Python take the same one string, given, in a file, or by the environment.
func TestPythonLibrary(t *testing.T) {
	l := newLocksmith(t)
	ann, w1 := l.add("ann", "client=up"), l.add("w1", "worker=*")
	clients, workers := l.brokerProcess(assigner.BrokerConfig{Clients: free, Workers: free})
	file := filepath.Join(t.TempDir(), "w1.key")
	require.NoError(t, os.WriteFile(file, []byte(w1.String()+"\n"), 0o600))
	p := rig.Python(t, "testdata/library.py", clients, workers, ann.String(), file, l.stranger().String())
	require.Equal(t, "HELLO", p.Await("reply "))
	require.Contains(t, p.Await("refused "), "`troupe keys add ann --extend --client down`")
	require.Equal(t, "HELLO", p.Await("by environment "))
	require.Contains(t, p.Await("turned away "), "does not know this key")
	require.Contains(t, p.Await("no key "), "key")
	require.Contains(t, p.Await("bad "), "not copied whole")
	require.Contains(t, p.Await("bad "), "not copied whole")
	require.Contains(t, p.Await("bad "), "neither what")
	require.Contains(t, p.Await("bad "), "chmod 600")
	p.Await("done")
}
