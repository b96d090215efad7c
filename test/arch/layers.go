package arch

import "path"

// Layer is one row of the house: a folder and what its packages may import of
// this module. The row with the longest matching path speaks for a package.
type Layer struct {
	// Path is a folder below the root; it may hold a `*` for one path element.
	Path string
	// Imports are the folders, with all below them, that the layer may import.
	// A layer may always import its own folder.
	Imports []string
	// Pure layers decide and do nothing else; see pure.go.
	Pure bool
	// Future layers are decided and not yet written; the mark goes when the
	// first package is there.
	Future bool
	// Why is the reason that a violation prints.
	Why string
}

// pureTypes may be shared by all pure packages: each other's types.
var pureTypes = []string{
	"actors/access", "actors/machine", "actors/prio", "actors/schedule", "bridge/wire", "supervision/liveness", "supervision/restart",
	"supervision/why",
}

const pureWhy = "a pure package decides and does nothing else: standard library and other pure packages only, " +
	"so that its tests need no socket, no sleep and no actor system"

// Layers is section 1 of the architecture as a table.
var Layers = []Layer{
	{Path: "actors/access", Pure: true, Imports: pureTypes, Why: pureWhy},
	{Path: "actors/machine", Pure: true, Imports: pureTypes, Why: pureWhy},
	{Path: "actors/prio", Pure: true, Imports: pureTypes, Why: pureWhy},
	{Path: "actors/schedule", Pure: true, Imports: pureTypes, Why: pureWhy},
	{Path: "bridge/wire", Pure: true, Imports: pureTypes, Why: pureWhy},
	{Path: "supervision/restart", Pure: true, Imports: pureTypes, Why: pureWhy},
	{Path: "supervision/keeper", Pure: true, Imports: append([]string{"supervision/watch"}, pureTypes...), Why: pureWhy},
	{Path: "supervision/liveness", Pure: true, Imports: pureTypes, Why: pureWhy},
	{Path: "supervision/watch", Pure: true, Imports: pureTypes, Why: pureWhy},
	{Path: "supervision/why", Pure: true, Imports: pureTypes, Why: pureWhy},
	{Path: "patterns/*/machine", Pure: true, Imports: pureTypes, Why: pureWhy},
	{
		Path: "bridge/zmqsock",
		Why:  "it is the cage of libzmq and knows sockets and bytes, nothing of what they mean",
	},
	{
		Path: "bridge",
		Why: "the bridge carries messages for anybody: it never imports actors, and it is supervised " +
			"without knowing by whom",
	},
	{
		Path: "supervision",
		Why: "supervision knows children, not what they do: it never imports actors or bridge, and " +
			"declares the port through which it reads their stamps",
	},
	{
		Path:    "actors",
		Imports: append([]string{"supervision"}, pureTypes...),
		Why:     "actors post to an Outbox port; of the bridge they know only bridge/wire",
	},
	{
		Path:    "patterns",
		Imports: []string{"actors", "bridge", "supervision"},
		Why:     "a pattern joins the layers below into a ready thing; nothing above it may be needed for that",
	},
	{
		Path:    "cmd",
		Imports: []string{"patterns", "actors", "bridge", "supervision", "examples/python"},
		Why: "a command turns flags into a pattern's config; the one example it may import is the folder " +
			"of the client files that `troupe client` prints",
	},
	{
		Path:    "examples",
		Imports: []string{"patterns", "actors", "bridge", "supervision"},
		Why:     "an example shows what a user can do, so it uses what a user can import",
	},
	{
		Path:    "test",
		Imports: []string{"patterns", "actors", "bridge", "supervision", "cmd", "examples"},
		Why:     "tests see everything and nobody but tests sees them",
	},
}

// Cage names where an outside module, or a part of one, may be imported.
type Cage struct {
	Module string   // import path and all below it
	In     []string // folders of this module; empty means nowhere
	Tests  bool     // whether _test.go files are free to import it
	Why    string
}

// Cages keeps what is foreign in few places. The row with the longest matching
// module speaks.
var Cages = []Cage{
	{
		Module: "C", In: []string{"bridge/zmqsock", "test"},
		Why: "one package owns libzmq; below test, helpers may look at native thread-local values",
	},
	{
		Module: "github.com/pebbe/zmq4", In: []string{"bridge/zmqsock"},
		Why: "one goroutine owns each socket, and one package sees to that",
	},
	{
		Module: "github.com/asynkron/protoactor-go",
		In:     []string{"actors", "supervision", "patterns", "cmd", "examples", "test"},
		Why:    "machines do not depend on an actor engine, and the bridge knows only its PIDs and mailboxes",
	},
	{
		Module: "github.com/asynkron/protoactor-go/actor",
		In:     []string{"actors", "bridge", "supervision", "patterns", "cmd", "examples", "test"},
		Why:    "of the engine, the bridge knows PIDs and mailboxes only",
	},
	{
		Module: "github.com/asynkron/protoactor-go/remote",
		Why:    "ZeroMQ carries the traffic between hosts",
	},
	{
		Module: "github.com/asynkron/protoactor-go/cluster",
		Why:    "it activates one identity twice and ejects members for ever, and a hit has one owner",
	},
	{
		Module: "github.com/spf13/cobra", In: []string{"cmd"},
		Why: "flags belong to commands; a library takes a config struct",
	},
	{
		Module: "github.com/stretchr/testify", In: []string{"test"}, Tests: true,
		Why: "a test library does not ship with the product",
	},
	{
		Module: "go.uber.org/goleak", In: []string{"test"}, Tests: true,
		Why: "a test library does not ship with the product",
	},
	{
		Module: "pgregory.net/rapid", In: []string{"test"}, Tests: true,
		Why: "a test library does not ship with the product",
	},
}

// layerOf finds the row that speaks for a package.
func layerOf(layers []Layer, pkg string) (Layer, bool) {
	var best Layer
	for _, layer := range layers {
		if matches(layer.Path, pkg) && len(layer.Path) > len(best.Path) {
			best = layer
		}
	}
	return best, best.Path != ""
}

// matches tells whether pkg or a folder above it fits the pattern.
func matches(pattern, pkg string) bool {
	for dir := pkg; dir != "." && dir != "/"; dir = path.Dir(dir) {
		if ok, err := path.Match(pattern, dir); err == nil && ok {
			return true
		}
	}
	return false
}
