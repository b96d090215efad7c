package arch

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// bite is a made-up tree and what a rule must say about it, one substring per
// violation; none means that the rule must stay silent.
type bite struct {
	name  string
	files map[string]string
	want  []string
}

func runBites(t *testing.T, check func(*Tree) []Violation, bites []bite) {
	t.Helper()
	for _, b := range bites {
		t.Run(b.name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for name, data := range b.files {
				fsys[name] = &fstest.MapFile{Data: []byte(data)}
			}
			tree, err := Load(fsys)
			require.NoError(t, err)
			found := check(tree)
			require.Len(t, found, len(b.want), "%v", found)
			for i, want := range b.want {
				require.Contains(t, found[i].String(), want)
				require.NotEmpty(t, found[i].Why)
			}
		})
	}
}

// importing is a Go file of a package that imports one path.
func importing(path string) string { return "package p\n\nimport _ \"" + path + "\"\n" }

func ours(path string) string { return importing(Module + "/" + path) }

func TestImportsBite(t *testing.T) {
	const engine = "github.com/asynkron/protoactor-go"
	runBites(t, CheckImports, []bite{
		// Downwards is allowed.
		{"actors to supervision", map[string]string{"actors/a.go": ours("supervision")}, nil},
		{"actors to wire", map[string]string{"actors/a.go": ours("bridge/wire")}, nil},
		{"bridge to its socket", map[string]string{"bridge/a.go": ours("bridge/zmqsock")}, nil},
		{"supervision to restart", map[string]string{"supervision/a.go": ours("supervision/restart")}, nil},
		{"pure to pure", map[string]string{"actors/machine/a.go": ours("bridge/wire")}, nil},
		{"pattern to all below", map[string]string{"patterns/pool/a.go": ours("bridge")}, nil},
		{"test to command", map[string]string{"test/e2e/a.go": ours("cmd/troupe")}, nil},
		{"command to client files", map[string]string{"cmd/troupe/a.go": ours("examples/python")}, nil},
		{"testify in a test", map[string]string{"bridge/wire/a_test.go": importing("github.com/stretchr/testify/require")}, nil},
		{"socket in its cage", map[string]string{"bridge/zmqsock/a.go": importing("github.com/pebbe/zmq4")}, nil},
		{"actors to engine", map[string]string{"actors/a.go": importing(engine + "/actor")}, nil},
		{"bridge to engine's actor", map[string]string{"bridge/a.go": importing(engine + "/actor")}, nil},
		{"thread-local test helper", map[string]string{"test/e2e/tls/a.go": importing("C")}, nil},

		// Upwards and sideways is not.
		{"bridge to actors", map[string]string{"bridge/a.go": ours("actors")}, []string{"bridge/a.go:3: bridge imports actors"}},
		{"bridge's test to actors", map[string]string{"bridge/a_test.go": ours("actors")}, []string{"bridge imports actors"}},
		{"bridge to a machine", map[string]string{"bridge/a.go": ours("actors/machine")}, []string{"bridge imports actors/machine"}},
		{"bridge to supervision", map[string]string{"bridge/a.go": ours("supervision")}, []string{"bridge imports supervision"}},
		{"socket to wire", map[string]string{"bridge/zmqsock/a.go": ours("bridge/wire")}, []string{"bridge/zmqsock imports bridge/wire"}},
		{"actors to bridge", map[string]string{"actors/a.go": ours("bridge")}, []string{"actors imports bridge"}},
		{"actors to the socket", map[string]string{"actors/a.go": ours("bridge/zmqsock")}, []string{"actors imports bridge/zmqsock"}},
		{"supervision to actors", map[string]string{"supervision/a.go": ours("actors")}, []string{"supervision imports actors"}},
		{"supervision to bridge", map[string]string{"supervision/a.go": ours("bridge/wire")}, []string{"supervision imports bridge/wire"}},
		{"pattern to command", map[string]string{"patterns/pool/a.go": ours("cmd/troupe")}, []string{"imports cmd/troupe"}},
		{"pattern to test", map[string]string{"patterns/pool/a.go": ours("test/harness")}, []string{"imports test/harness"}},
		{"example to test", map[string]string{"examples/x/a.go": ours("test/harness")}, []string{"imports test/harness"}},
		{"command to example", map[string]string{"cmd/troupe/a.go": ours("examples/sqlite")}, []string{"imports examples/sqlite"}},
		{"pure to its own host", map[string]string{"actors/machine/a.go": ours("actors")}, []string{"actors/machine imports actors"}},
		{"pattern's machine to actors", map[string]string{"patterns/pool/machine/a.go": ours("actors")}, []string{"imports actors"}},
		{"nobody's package", map[string]string{"extra/a.go": ours("actors")}, []string{"outside the layers"}},

		// Cages.
		{"pure to engine", map[string]string{"actors/machine/a.go": importing(engine + "/actor")}, []string{"imports " + engine}},
		{"pure's test to engine", map[string]string{"bridge/wire/a_test.go": importing(engine + "/actor")}, []string{"imports " + engine}},
		{"pure to any module", map[string]string{"bridge/wire/a.go": importing("golang.org/x/sys/unix")}, []string{"golang.org/x/sys/unix"}},
		{"socket outside its cage", map[string]string{"bridge/a.go": importing("github.com/pebbe/zmq4")}, []string{"imports github.com/pebbe/zmq4"}},
		{"socket in a test", map[string]string{"test/e2e/a_test.go": importing("github.com/pebbe/zmq4")}, []string{"imports github.com/pebbe/zmq4"}},
		{"cgo outside its cage", map[string]string{"actors/a.go": importing("C")}, []string{"actors imports C"}},
		{"bridge to the whole engine", map[string]string{"bridge/a.go": importing(engine + "/router")}, []string{"bridge imports " + engine + "/router"}},
		{"engine's remote", map[string]string{"patterns/pool/a.go": importing(engine + "/remote")}, []string{"ZeroMQ carries"}},
		{"engine's cluster", map[string]string{"cmd/troupe/a.go": importing(engine + "/cluster/identity")}, []string{"activates"}},
		{"testify in the product", map[string]string{"actors/a.go": importing("github.com/stretchr/testify/require")}, []string{"ship"}},
		{"flags in a library", map[string]string{"patterns/pool/a.go": importing("github.com/spf13/cobra")}, []string{"config struct"}},
		{"dot import", map[string]string{"actors/a.go": "package p\n\nimport . \"fmt\"\n"}, []string{"dot import of fmt"}},
	})
}

func TestLayersExistBites(t *testing.T) {
	house := func(future bool, rename string) map[string]string {
		files := map[string]string{}
		for _, layer := range Layers {
			if future || !layer.Future {
				folder := strings.ReplaceAll(layer.Path, "*", "pool")
				files[strings.Replace(folder, rename, "renamed", 1)+"/doc.go"] = "package p\n"
			}
		}
		return files
	}
	runBites(t, CheckLayersExist, []bite{
		{"all there", house(false, "-"), nil},
		{"one renamed", house(false, "bridge/wire"), []string{"bridge/wire has a rule and is not there"}},
	})

	var stale []string
	for _, layer := range Layers {
		if layer.Future {
			stale = append(stale, layer.Path+" is there and still marked Future")
		}
	}
	runBites(t, CheckLayersExist, []bite{{"the future has come", house(true, "-"), stale}})
}

func TestLoadRefusesBrokenSource(t *testing.T) {
	_, err := Load(fstest.MapFS{"actors/a.go": {Data: []byte("package")}})
	require.ErrorContains(t, err, "actors/a.go")
}

func TestLoadLeavesOutWhatBuildsLeaveBehind(t *testing.T) {
	tree, err := Load(fstest.MapFS{
		"bin/x.go": {}, ".git/config": {}, "examples/python/__pycache__/a.pyc": {}, "actors/cpu.prof": {},
		"actors/testdata/broken.go": {Data: []byte("no Go")},
	})
	require.NoError(t, err)
	require.Len(t, tree.Files, 1)
	require.Nil(t, tree.Files[0].Go, "test data is not our source")
}
