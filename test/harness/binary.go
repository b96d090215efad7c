package harness

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// BinaryVar names a troupe command that is there already; without it, it is built once.
const BinaryVar = "TROUPE_BINARY"

const command = "github.com/troupe-mq/troupe/cmd/troupe"

var built = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(BinaryVar); path != "" {
		return path, nil
	}
	dir, err := buildDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "troupe")
	fresh := fmt.Sprintf("%s-%d", path, os.Getpid())
	out, err := exec.Command("go", "build", "-o", fresh, command).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("harness: the troupe command cannot be built: %w: %s: in a module of your own, `go get -tool %s` once, or name a binary in %s",
			err, strings.TrimSpace(string(out)), command, BinaryVar)
	}
	return path, os.Rename(fresh, path) // at once, whoever runs the one before
})

// buildDir returns a folder for the binaries of this module, which is the same at every run.
func buildDir() (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("harness: where is the module? go env GOMOD: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "troupe-harness", fmt.Sprintf("%x", sha256.Sum256(mod))[:16])
	return dir, os.MkdirAll(dir, 0o700)
}

// Binary returns the path of the troupe command, which is built at the first call, or named by TROUPE_BINARY.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Troupe starts the troupe command with these arguments; its log is JSON, so that its verdicts are heard.
func (s *System) Troupe(name string, args ...string) *Process {
	s.t.Helper()
	cmd := exec.Command(Binary(s.t), append([]string{"--log-format", "json"}, args...)...)
	cmd.Env = append(os.Environ(), "TROUPE_CONFIG="+os.DevNull)
	return s.Process(name, cmd)
}

// BrokerProcess starts the broker in a process of its own, with further flags of `troupe broker`, and waits until it is there.
func (s *System) BrokerProcess(name string, flags ...string) *Process {
	s.t.Helper()
	p := s.Troupe(name, append([]string{"broker", "--name", name, "--client", s.Clients, "--worker", s.Workers, "-o", "json"}, flags...)...)
	p.Await("{")
	return p
}

// WorkerProcess starts a worker with the command's demo services in a process of its own, with further flags of `troupe worker`
// (a --broker takes the place of the system's own), and waits until it is registered.
func (s *System) WorkerProcess(name string, flags ...string) *Process {
	s.t.Helper()
	p := s.Troupe(name, append([]string{"worker", "--name", name, "-o", "json"}, flags...)...)
	p.Await("{")
	return p
}
