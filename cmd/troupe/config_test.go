package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// write makes a configuration file and returns the variable that names it.
func write(t *testing.T, text string) (path, variable string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "troupe.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path, "TROUPE_CONFIG=" + path
}

// shown returns the settings of a command by key.
func shown(t *testing.T, words ...string) map[string]setting {
	t.Helper()
	var page struct{ Settings []setting }
	troupe(t, exitOK, words...).read(&page)
	byKey := make(map[string]setting)
	for _, s := range page.Settings {
		byKey[s.Key] = s
	}
	return byKey
}

// Default < file < environment < flag, and each value tells where it comes from.
func TestConfigShowTellsOrigins(t *testing.T) {
	path, named := write(t, "log-level: warn\nbroker:\n  max-wait: 11s\n  max-queue: 5\n  window: 8MiB\n  client: [tcp://127.0.0.1:0]\n")
	got := shown(t, named, "TROUPE_BROKER_MAX_QUEUE=6", "TROUPE_BROKER_WINDOW=9MiB", "config", "show", "broker", "-o", "json", "--", "--window", "10MiB")
	for key, want := range map[string][2]any{
		"max-wait": {"11s", path + ":3"}, "max-queue": {"6", "TROUPE_BROKER_MAX_QUEUE"}, "window": {"10MiB", "flag"},
		"log-level": {"warn", path + ":1"}, "max-calls": {"256", "default"}, "client": {[]any{"tcp://127.0.0.1:0"}, path + ":6"},
	} {
		require.Equal(t, want, [2]any{got[key].Value, got[key].Origin}, key)
	}
	table := troupe(t, exitOK, named, "config", "show", "broker", "--origin").out.String()
	require.Regexp(t, `(?m)^broker +max-wait +11s +`+path+`:3$`, table)
}

func TestConfigReachesTheCommand(t *testing.T) {
	_, named := write(t, "broker:\n  client: tcp://127.0.0.1:0\n  worker: tcp://127.0.0.1:0\n  max-queue: -1\n")
	said := troupe(t, exitUsage, named, "broker").err.String()
	require.Contains(t, said, "--max-queue is -1")
	require.Contains(t, said, "troupe.yaml:4", "the origin is named")
	require.Contains(t, troupe(t, exitUsage, "TROUPE_BROKER_MAX_QUEUE=-1", "broker").err.String(), "--max-queue comes from TROUPE_BROKER_MAX_QUEUE")
}

func TestConfigErrorsNameFlagsNotFields(t *testing.T) {
	said := troupe(t, exitUsage, "broker", "--window", "10").err.String()
	require.Contains(t, said, "--window")
	require.NotContains(t, said, "BrokerConfig")
	require.NotContains(t, said, "Window ")
}

func TestConfigMistakesInFiles(t *testing.T) {
	path, named := write(t, "broker:\n  max-wiat: 3s\n")
	for _, words := range [][]string{{named, "broker"}, {named, "status"}, {"config", "check", path}, {"--config", path, "hit", "list"}} {
		said := troupe(t, exitUsage, words...).err.String()
		require.Contains(t, said, path+`:2:3: "max-wiat" is no key of broker: did you mean "max-wait"?`)
		require.Contains(t, said, "   2 |   max-wiat: 3s\n")
	}
	require.Contains(t, troupe(t, exitUsage, "--config", path+".none", "status").err.String(), "name another one with --config")
	troupe(t, exitOK, named, "help", "broker")
}

func TestConfigCheckLooksAtTheWhole(t *testing.T) {
	path, _ := write(t, "broker:\n  client: tcp://0.0.0.0:1\n")
	require.Contains(t, troupe(t, exitUsage, "config", "check", path).err.String(), "other machines can reach it")
	good, _ := write(t, "broker:\n  max-wait: 3s\nworker:\n  slots: 4\n")
	require.Equal(t, good+" is fine: 2 keys\n", troupe(t, exitOK, "config", "check", good).out.String())
}

func TestConfigSecretsAreNotShown(t *testing.T) {
	out := troupe(t, exitOK, "TROUPE_KEY=troupe1-very-secret", "config", "show", "worker", "--origin").out.String()
	require.Regexp(t, `(?m)^worker +key +\*\*\* +TROUPE_KEY$`, out)
	require.NotContains(t, out, "very-secret")
}

func TestConfigVariablesNobodyKnows(t *testing.T) {
	said := troupe(t, exitOK, "TROUPE_BROKER_MAX_QUEU=1", "version").err.String()
	require.Contains(t, said, "TROUPE_BROKER_MAX_QUEU is set, but no setting has this name: did you mean TROUPE_BROKER_MAX_QUEUE?")
}

// The example is a file that sets nothing; with every mark taken away it is a file that sets every default.
func TestConfigExample(t *testing.T) {
	text := troupe(t, exitOK, "config", "example").out.String()
	path, _ := write(t, text)
	require.Contains(t, troupe(t, exitOK, "config", "check", path).out.String(), "0 keys")
	var bare []string
	for line := range strings.SplitSeq(text, "\n") {
		if mark := strings.Index(line, "#"); mark >= 0 && strings.TrimSpace(line[:mark]) == "" && !strings.HasPrefix(line[mark:], "# ") {
			line = line[:mark] + line[mark+1:]
		}
		bare = append(bare, line)
	}
	path, _ = write(t, strings.Join(bare, "\n"))
	require.Contains(t, troupe(t, exitOK, "config", "check", path).out.String(), "is fine")
	require.Contains(t, text, "  #max-wait: ")
}
