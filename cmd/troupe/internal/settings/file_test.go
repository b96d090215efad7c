package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cmd/troupe/internal/settings"
)

func TestFileSaysWhatItSays(t *testing.T) {
	f, err := settings.Parse("t.yaml", []byte(`# all of it
log-level: debug
broker:
  max-wait: 10s
  max-queue: 7
  insecure: true
  client: [tcp://127.0.0.1:1, "ipc:///run/x"]
  share: 0.25
  name:            # empty: the default stays
`), schema(t))
	require.NoError(t, err)
	require.Equal(t, []settings.Entry{
		{Section: settings.Common, Key: "log-level", Texts: []string{"debug"}, Line: 2, Column: 12},
		{Section: "broker", Key: "max-wait", Texts: []string{"10s"}, Line: 4, Column: 13},
		{Section: "broker", Key: "max-queue", Texts: []string{"7"}, Line: 5, Column: 14},
		{Section: "broker", Key: "insecure", Texts: []string{"true"}, Line: 6, Column: 13},
		{Section: "broker", Key: "client", Texts: []string{"tcp://127.0.0.1:1", "ipc:///run/x"}, Line: 7, Column: 11},
		{Section: "broker", Key: "share", Texts: []string{"0.25"}, Line: 8, Column: 10},
	}, f.Entries)
}

func TestEmptyFilesSayNothing(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# nothing\n", "---\n", "broker:\n", "broker: {}\n"} {
		f, err := settings.Parse("t.yaml", []byte(text), schema(t))
		require.NoError(t, err, "%q", text)
		require.Empty(t, f.Entries, "%q", text)
	}
}

// What is wrong is named with its file, line and column, and with what would be right.
func TestWrongFilesAreNamed(t *testing.T) {
	for name, tc := range map[string]struct{ text, at, says string }{
		"unknown key":              {"broker:\n  max-wiat: 3s\n", "t.yaml:2:3: ", `"max-wiat" is no key of broker: did you mean "max-wait"?`},
		"unknown section":          {"brokr:\n  max-wait: 3s\n", "t.yaml:1:1: ", `"brokr" is no key of the top level: did you mean "broker"?`},
		"key of a section":         {"max-queue: 3\n", "t.yaml:1:1: ", `it is one of broker: write it below that`},
		"nothing near":             {"hit:\n  zzzzzzzzzzzz: 1\n", "t.yaml:2:3: ", "there are max-wait, timeout"},
		"twice":                    {"broker:\n  name: a\n  name: b\n", "t.yaml:3:", "name"},
		"number for a duration":    {"broker:\n  max-wait: 10\n", "t.yaml:2:13: ", `broker.max-wait: found the number "10", wanted a duration such as 30s`},
		"text for a number":        {"broker:\n  max-queue: many\n", "t.yaml:2:14: ", `broker.max-queue: found the text "many", wanted a whole number`},
		"number for a truth value": {"broker:\n  insecure: 1\n", "t.yaml:2:13: ", `broker.insecure: found the number "1", wanted true or false`},
		"list for one value":       {"broker:\n  name: [a, b]\n", "t.yaml:2:9: ", "broker.name: found a list, wanted a text"},
		"mapping for a value":      {"broker:\n  name: {a: b}\n", "t.yaml:2:", "broker.name: found keys with values, wanted a text"},
		"number too large":         {"broker:\n  max-queue: 99999999999999999999\n", "t.yaml:2:", "broker.max-queue"},
		"text for a section":       {"broker: yes please\n", "t.yaml:1:9: ", `broker: found the text "yes please", wanted keys with values`},
		"list on top":              {"- a\n- b\n", "t.yaml:1:1: ", "the top level: found a list"},
		"two documents":            {"log-level: info\n---\nlog-level: debug\n", "t.yaml:3:", "a second document begins"},
		"anchor":                   {"broker: &b\n  name: x\n", "t.yaml:1:", "an anchor"},
		"no YAML":                  {"broker: [\n", "t.yaml:1:", "not YAML as it should be"},
		"no text":                  {"broker:\n  name: \xff\xfe\n", "t.yaml: ", "it is not UTF-8 text"},
		"much too long":            {strings.Repeat("# long\n", 1<<18), "t.yaml: ", "more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := settings.Parse("t.yaml", []byte(tc.text), schema(t))
			var wrong *settings.FileError
			require.ErrorAs(t, err, &wrong)
			require.True(t, strings.HasPrefix(err.Error(), tc.at), "%v", err)
			require.Contains(t, err.Error(), tc.says)
		})
	}
}

func TestErrorsShowTheLineAndAMark(t *testing.T) {
	_, err := settings.Parse("t.yaml", []byte("broker:\n  max-wiat: 3s\n"), schema(t))
	require.Equal(t, "   2 |   max-wiat: 3s\n         ^", settings.ExcerptOf(err))
	require.Empty(t, settings.ExcerptOf(errors.New("another one")))
}

// A secret is shown neither in an error's text nor in its excerpt.
func TestErrorsShowNoSecrets(t *testing.T) {
	for _, text := range []string{
		"broker:\n  key: [troupe1-SECRET]\n", "broker:\n  kye: troupe1-SECRET\n", "broker:\n  \"key\": {troupe1-SECRET: 1}\n", "broker:\n  max-wait: troupe1-SECRET\n",
	} {
		_, err := settings.Parse("t.yaml", []byte(text), schema(t))
		require.Error(t, err, text)
		require.NotContains(t, settings.ExcerptOf(err), "SECRET", text)
	}
}

func TestFilesThatHoldKeysAreKeptToOneself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "troupe.yaml")
	require.NoError(t, os.WriteFile(path, []byte("broker:\n  key: troupe1-abc\n"), 0o644))
	_, err := settings.Load(path, schema(t))
	require.ErrorContains(t, err, path+":2:8: broker.key holds a key, and others can read the file (mode 0644): chmod 600 "+path)
	require.NoError(t, os.Chmod(path, 0o600))
	_, err = settings.Load(path, schema(t))
	require.NoError(t, err)
	_, err = settings.Load(path+".missing", schema(t))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "name another one with --config")
}

func TestTheFirstTrustedFileIsFound(t *testing.T) {
	dir := t.TempDir()
	env := map[string]string{"XDG_CONFIG_HOME": dir, "HOME": "/somewhere"}
	require.Equal(t, []string{"troupe.yaml", filepath.Join(dir, "troupe", "config.yaml"), "/etc/troupe/config.yaml"}, settings.Places(func(k string) string { return env[k] }))
	delete(env, "XDG_CONFIG_HOME")
	require.Equal(t, "/somewhere/.config/troupe/config.yaml", settings.Places(func(k string) string { return env[k] })[1])

	first, second := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	found, err := settings.Find([]string{first, second})
	require.NoError(t, err)
	require.Empty(t, found)
	require.NoError(t, os.WriteFile(second, nil, 0o644))
	found, err = settings.Find([]string{first, filepath.Join(second, "below a file"), second})
	require.NoError(t, err)
	require.Equal(t, second, found)
	require.NoError(t, os.Chmod(second, 0o666))
	_, err = settings.Find([]string{first, second})
	require.ErrorContains(t, err, "everybody may change the configuration file "+second+" (mode 0666): chmod o-w")
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "broker:\n  max-wait: 10s\n  client: [a, b]\n", "a: &x\n  b: *x\n", "? [a]\n: b", "broker:\n\t- x", "log-level: !!binary x", "'", "<<: {}", "broker:\n  key: troupe1-x"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := settings.Parse("t.yaml", data, schema(t))
		if err != nil {
			var wrong *settings.FileError
			require.ErrorAs(t, err, &wrong)
			require.NotContains(t, wrong.Excerpt, "troupe1-")
			return
		}
		for _, e := range file.Entries {
			require.NotNil(t, schema(t).Flag(e.Section, e.Key), "%s.%s", e.Section, e.Key)
		}
	})
}
