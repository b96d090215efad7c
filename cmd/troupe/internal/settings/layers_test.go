package settings_test

import (
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/cmd/troupe/internal/settings"
)

func fill(t *testing.T, file string, environ []string, args ...string) (*pflag.FlagSet, map[string]settings.Origin, error) {
	t.Helper()
	f, err := settings.Parse("t.yaml", []byte(file), schema(t))
	require.NoError(t, err)
	all := flags()
	require.NoError(t, all.Parse(args))
	origins, err := settings.Layers{File: f, Env: settings.NewEnv(environ, schema(t), nil)}.Fill(all, mine)
	return all, origins, err
}

// Default, file, environment, command line: each wins over those before it.
func TestLayersWinInTheirOrder(t *testing.T) {
	file := "broker:\n  max-queue: 2\n  name: of the file\n  client: [a, b]\n"
	f, origins, err := fill(t, file, []string{"TROUPE_BROKER_NAME=of the environment", "TROUPE_MAX_QUEUE=3"}, "--max-queue=4")
	require.NoError(t, err)
	for key, want := range map[string][2]string{
		"max-queue": {"4", "flag"}, "name": {"of the environment", "TROUPE_BROKER_NAME"}, "client": {"[a,b]", "t.yaml:4"},
		"max-wait": {"30s", "default"}, "insecure": {"false", "default"},
	} {
		require.Equal(t, want, [2]string{f.Lookup(key).Value.String(), origins[key].String()}, key)
	}
}

func TestLongVariablesWinOverShortOnes(t *testing.T) {
	f, origins, err := fill(t, "", []string{"TROUPE_NAME=short", "TROUPE_BROKER_NAME=long", "TROUPE_CLIENT=x,y"})
	require.NoError(t, err)
	require.Equal(t, "long", f.Lookup("name").Value.String())
	require.Equal(t, "[x,y]", f.Lookup("client").Value.String(), "a list is taken apart at its commas")
	require.Equal(t, "TROUPE_CLIENT", origins["client"].String())
}

func TestBadVariablesAreNamed(t *testing.T) {
	_, _, err := fill(t, "", []string{"TROUPE_BROKER_MAX_QUEUE=many"})
	require.ErrorContains(t, err, `TROUPE_BROKER_MAX_QUEUE: found "many", wanted a whole number`)
}

func TestUnknownVariablesAreWarnedOf(t *testing.T) {
	env := settings.NewEnv([]string{
		"TROUPE_BROKER_MAX_QUEUES=1", "TROUPE_LOG_LEVEL=debug", "TROUPE_EMPTY=", "TROUPE_MAX_WAIT=3", "OTHER=1", "TROUPE_CONFIG=x.yaml",
		"TROUPE_SERVICE=told to programs", "TROUPE_BROKER_SERVICE_HOST=10.0.0.1", "TROUPE_BROKER_PORT_5700_TCP_ADDR=10.0.0.1", "TROUPE_ZZZZZZZZZZZZZZZ=1",
	}, schema(t), nil)
	require.Equal(t, []string{
		"TROUPE_BROKER_MAX_QUEUES is set, but no setting has this name: did you mean TROUPE_BROKER_MAX_QUEUE?",
		"TROUPE_MAX_WAIT could mean different things, so it is not read: use TROUPE_BROKER_MAX_WAIT or TROUPE_HIT_MAX_WAIT",
		"TROUPE_ZZZZZZZZZZZZZZZ is set, but no setting has this name: `troupe help config` says what there is",
	}, env.Warnings())
	require.Equal(t, "x.yaml", env.Config())
}

func TestOwnVariablesTakeThePlaceOfShortOnes(t *testing.T) {
	env := settings.NewEnv(nil, schema(t), map[string]string{"broker.name": "TROUPE_CALLED"})
	require.Equal(t, []string{"TROUPE_BROKER_NAME", "TROUPE_CALLED"}, env.Names("broker", "name"))
}

// The example holds every key, and sets none of them.
func TestTheExampleIsAFileThatSetsNothing(t *testing.T) {
	s := schema(t)
	text := s.Example("A head.\n", func(section string) string { return "about " + section }, func(_, key string) bool { return key == "share" })
	file, err := settings.Parse("example.yaml", []byte(text), s)
	require.NoError(t, err, text)
	require.Empty(t, file.Entries)
	require.Contains(t, text, "# A head.\n")
	require.Contains(t, text, "  # how long an open may wait\n  #max-wait: 30s\n")
	require.NotContains(t, text, "share")
}

func FuzzEnv(f *testing.F) {
	f.Add("TROUPE_BROKER_NAME", "x")
	f.Add("TROUPE_", "")
	f.Add("TROUPE_MAX_QUEUE", "-1")
	f.Fuzz(func(t *testing.T, name, value string) {
		env := settings.NewEnv([]string{name + "=" + value}, schema(t), nil)
		for _, w := range env.Warnings() {
			require.Contains(t, w, "TROUPE_")
		}
		all := flags()
		origins, err := settings.Layers{Env: env}.Fill(all, mine)
		if err != nil {
			require.ErrorContains(t, err, "TROUPE_")
			return
		}
		for key, o := range origins {
			require.Equal(t, o.Kind == settings.FromEnv, all.Lookup(key).Changed, key)
		}
	})
}
