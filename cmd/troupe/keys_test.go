package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/cmd/troupe/internal/doctor"
)

// safe is a folder of keys, and a broker that uses it.
type safe struct {
	t       *testing.T
	folder  string // TROUPE_KEYS=...
	broker  *process
	clients string
	workers string
}

func newSafe(t *testing.T) *safe {
	t.Helper()
	s := &safe{t: t, folder: keysEnv + "=" + filepath.Join(t.TempDir(), "keys")}
	out := troupe(t, exitOK, s.folder, "keys", "init")
	require.Regexp(t, `(?s)^folder .*\npublic key +\S{40}\nfingerprint +[0-9a-f]{12}\n$`, out.out.String())
	require.Contains(t, out.err.String(), "next: troupe keys add")
	return s
}

// open starts the broker, on tcp only.
func (s *safe) open() {
	s.t.Helper()
	s.broker = start(s.t, s.folder, "broker", "-o", "json", "--client", "tcp://127.0.0.1:0", "--worker", "tcp://127.0.0.1:0")
	var said brokerSaid
	require.NoError(s.t, json.Unmarshal([]byte(s.broker.out.await(s.t, "clients")), &said))
	s.clients, s.workers = clientsEnv+"="+said.Clients[0], workersEnv+"="+said.Workers[0]
}

// key adds a peer and returns its key as a variable.
func (s *safe) key(flags ...string) string {
	s.t.Helper()
	out := troupe(s.t, exitOK, append([]string{s.folder, "keys", "add"}, flags...)...).out.String()
	require.Regexp(s.t, `^troupe1-[A-Za-z0-9_-]{91}\n$`, out, "one string, and nothing else")
	return keyEnv + "=" + strings.TrimSpace(out)
}

func TestKeysOfPeers(t *testing.T) {
	s := newSafe(t)
	ann := s.key("ann", "--client", "upper,count", "--admin")
	w1 := s.key("w1", "--worker", "*")
	s.open()
	worker := start(t, s.workers, w1, "worker")
	worker.out.await(t, "worker")
	require.Equal(t, "HELLO\n", troupe(t, exitOK, s.clients, ann, "call", "upper", "hello").out.String())

	denied := troupe(t, exitFailed, s.clients, ann, "call", "echo", "hello")
	require.Contains(t, denied.err.String(), "`troupe keys add ann --extend --client echo`")
	troupe(t, exitOK, s.folder, "keys", "add", "ann", "--extend", "--client", "echo")
	s.broker.signal(syscall.SIGHUP)
	s.broker.err.await(t, "the list of keys was read")
	require.Equal(t, "hello\n", troupe(t, exitOK, s.clients, ann, "call", "echo", "hello").out.String())

	require.Contains(t, troupe(t, exitFailed, s.clients, w1, "status").err.String(), "refused as a client")
	var status machine.StatusReport
	troupe(t, exitOK, s.clients, ann, "status", "-o", "json").read(&status)
	require.EqualValues(t, 1, status.Access.Clients)
	require.EqualValues(t, 1, status.Access.Services)
	require.Regexp(t, `no right +1 clients, 0 workers, 1 opens`, troupe(t, exitOK, s.clients, ann, "status").out.String())

	require.Equal(t, "revoked w1\n", troupe(t, exitOK, s.folder, "keys", "revoke", "w1").out.String())
	s.broker.err.await(t, "detector=revoked")
	worker.err.await(t, "or was revoked")
	late := troupe(t, exitFailed, s.clients, w1, "call", "upper", "hello", "--connect", "500ms")
	require.Contains(t, late.err.String(), "the broker does not know this key, or it was revoked")
	require.Contains(t, late.err.String(), "troupe doctor")
}

func TestKeysCommands(t *testing.T) {
	s := newSafe(t)
	s.key("ann", "--client", "upper", "--admin")
	for want, words := range map[string][]string{
		"there are keys already":                    {s.folder, "keys", "init"},
		"has key":                                   {s.folder, "keys", "add", "ann", "--worker", "x"},
		"`troupe keys list` shows them":             {s.folder, "keys", "show", "bob"},
		"nothing was changed":                       {s.folder, "keys", "revoke", "ann", "bob"},
		"no key is named":                           {s.folder, "keys", "add", "bob", "--extend", "--admin"},
		"make them by `troupe keys init --keys /no": {keysEnv + "=/no/such", "keys", "list"},
		"there are no keys in /no/such (":           {keysEnv + "=/no/such", "keys", "add", "x", "--admin"},
	} {
		require.Contains(t, troupe(t, exitFailed, words...).err.String(), want, "%v", words)
	}
	for want, words := range map[string][]string{
		"a peer without a right":    {s.folder, "keys", "add", "bob"},
		"letters, digits":           {s.folder, "keys", "add", "b/b", "--admin"},
		"--public: a key has 40":    {s.folder, "keys", "add", "bob", "--admin", "--public", "short"},
		"--broker: a key has 40":    {"keys", "make"},
		"--key: the key has":        {keyEnv + "=troupe1-x", "call", "upper", "x"},
		"others can read or change": {keysEnv + "=" + exposed(t), "broker"},
	} {
		require.Contains(t, troupe(t, exitUsage, words...).err.String(), want, "%v", words)
	}
	require.Regexp(t, `(?s)NAME +FINGERPRINT +CLIENT +WORKER +ADMIN\nann +[0-9a-f]{12} +upper +- +yes\n$`, troupe(t, exitOK, s.folder, "keys", "list").out.String())
	var listed struct{ Keys []keyRow }
	troupe(t, exitOK, s.folder, "keys", "list", "-o", "json").read(&listed)
	require.Len(t, listed.Keys, 1)
	require.Empty(t, listed.Keys[0].Key, "what is secret is shown once")
	require.Regexp(t, `may +client=upper admin\n$`, troupe(t, exitOK, s.folder, "keys", "show", "ann").out.String())
}

// exposed is a folder of keys whose secret others can read.
func exposed(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "keys")
	troupe(t, exitOK, "keys", "init", "--keys", folder)
	require.NoError(t, os.Chmod(filepath.Join(folder, "broker.key"), 0o644))
	return folder
}

// TestKeyMadeElsewhere: the secret never leaves the peer.
func TestKeyMadeElsewhere(t *testing.T) {
	s := newSafe(t)
	var broker keyRow
	troupe(t, exitOK, s.folder, "keys", "show", "-o", "json").read(&broker)
	var made struct{ Key, Public string }
	troupe(t, exitOK, "keys", "make", "--broker", broker.Public, "-o", "json").read(&made)
	require.Equal(t, broker.Public+"\n", troupe(t, exitOK, s.folder, "keys", "add", "bob", "--admin", "--public", made.Public).out.String())
	s.open()
	file := filepath.Join(t.TempDir(), "bob.key")
	require.NoError(t, os.WriteFile(file, []byte(made.Key+"\n"), 0o600))
	troupe(t, exitOK, s.clients, "status", "--key", file)
}

// diagnosis runs the doctor, and returns the last step.
func diagnosis(t *testing.T, code int, words ...string) doctor.Finding {
	t.Helper()
	var said struct {
		OK    bool
		Steps []doctor.Finding
	}
	troupe(t, code, append(words, "-o", "json")...).read(&said)
	require.Equal(t, code == exitOK, said.OK)
	last := said.Steps[len(said.Steps)-1]
	require.Equal(t, said.OK, last.OK)
	if !last.OK {
		require.NotEmpty(t, last.What)
		require.NotEmpty(t, last.Why)
		require.NotEmpty(t, last.Next)
	}
	return last
}

func TestDoctor(t *testing.T) {
	s := newSafe(t)
	ann, w1, gone := s.key("ann", "--client", "upper"), s.key("w1", "--worker", "*"), s.key("gone", "--admin")
	troupe(t, exitOK, s.folder, "keys", "revoke", "gone")
	s.open()
	plain := newHouse(t)
	workers := clientsEnv + strings.TrimPrefix(s.workers, workersEnv)
	other := newSafe(t).key("eve", "--admin")

	f := diagnosis(t, exitOK, s.clients, ann, "doctor")
	require.Equal(t, doctor.Finding{Step: "rights", OK: true, What: "ann: client of upper; worker for none; admin: no"}, f)
	require.Equal(t, "rights", diagnosis(t, exitOK, workers, w1, "doctor").Step)
	require.Equal(t, "client of *; worker for *; admin: yes", diagnosis(t, exitOK, plain.clients, "doctor").What)

	for name, c := range map[string]struct {
		code       int
		words      []string
		step, says string
	}{
		"no key":           {exitFailed, []string{s.clients}, "greeting", "none was given"},
		"key, plain":       {exitFailed, []string{plain.clients, ann}, "greeting", "does not encrypt"},
		"revoked":          {exitFailed, []string{s.clients, gone}, "handshake", "never added to its list, or was revoked"},
		"another broker's": {exitFailed, []string{s.clients, other}, "handshake", "another broker listens there"},
		"no client":        {exitFailed, []string{s.clients, w1}, "register", "no right to be a client"},
		"bad key":          {exitUsage, []string{s.clients, keyEnv + "=troupe1-bad"}, "key", "cannot show who it is"},
		"bad endpoint":     {exitUsage, []string{clientsEnv + "=http://x"}, "endpoint", "cannot be connected to"},
		"nobody":           {exitUnreachable, []string{clientsEnv + "=tcp://127.0.0.1:1"}, "connect", "nobody listens"},
		"no socket":        {exitUnreachable, []string{clientsEnv + "=ipc:///no/such"}, "connect", "no such socket"},
		"no ZeroMQ":        {exitFailed, []string{clientsEnv + "=tcp://" + talker(t)}, "greeting", "does not speak ZeroMQ"},
	} {
		t.Run(name, func(t *testing.T) {
			f := diagnosis(t, c.code, append(c.words, "doctor")...)
			require.Equal(t, c.step, f.Step, "%+v", f)
			require.Contains(t, f.Why, c.says)
		})
	}
	table := troupe(t, exitFailed, s.clients, gone, "doctor")
	require.Regexp(t, `handshake +FAILED +the broker turned the key away`, table.out.String())
	require.Contains(t, table.err.String(), "next: compare with `troupe keys list`")
}

// talker listens and says what no ZeroMQ says.
func talker(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}
