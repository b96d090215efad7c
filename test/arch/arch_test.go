package arch

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the repository as seen from this folder.
const root = "../.."

var loadRepository = sync.OnceValues(func() (*Tree, error) { return Load(os.DirFS(root)) })

// rules are all rules that the repository keeps.
var rules = []struct {
	name  string
	check func(*Tree) []Violation
}{
	{"Imports", CheckImports},
	{"LayersExist", CheckLayersExist},
	{"Pure", CheckPure},
	{"Sleep", CheckSleep},
	{"WallClock", CheckWallClock},
	{"Size", CheckSize},
	{"TopLevel", CheckTopLevel},
	{"Text", CheckText},
}

// docRules are those that `make docs-check` runs alone.
var docRules = []struct {
	name  string
	check func(*Tree) []Violation
}{
	{"Documented", CheckDocumented},
	{"Links", CheckLinks},
}

func TestArchitecture(t *testing.T) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) { keeps(t, rule.check) })
	}
}

func TestDocs(t *testing.T) {
	for _, rule := range docRules {
		t.Run(rule.name, func(t *testing.T) { keeps(t, rule.check) })
	}
}

func keeps(t *testing.T, check func(*Tree) []Violation) {
	t.Helper()
	tree, err := loadRepository()
	require.NoError(t, err)
	require.NotEmpty(t, tree.goFiles(), "the rules would hold for nothing")
	report := &strings.Builder{}
	for _, violation := range check(tree) {
		report.WriteString("\n" + violation.String())
	}
	require.Empty(t, report.String())
}

func TestEveryRuleHasAReason(t *testing.T) {
	for _, layer := range Layers {
		require.NotEmpty(t, layer.Why, layer.Path)
	}
	for _, cage := range Cages {
		require.NotEmpty(t, cage.Why, cage.Module)
	}
}
