package arch

import (
	"go/ast"
	"path"
	"strings"
)

// forbidden maps a standard package to the functions that a pure package may
// not name; "*" stands for the package as a whole, with all below it.
var forbidden = map[string]map[string]string{
	"time": {
		"Now": clockWhy, "Since": clockWhy, "Until": clockWhy, "Sleep": clockWhy, "After": clockWhy,
		"AfterFunc": clockWhy, "NewTimer": clockWhy, "NewTicker": clockWhy, "Tick": clockWhy,
	},
	"crypto/rand": {"*": randomWhy},
	"log":         {"*": "what happened is an effect; the host of the machine logs it"},
	"net":         {"*": "a machine has no socket; its host carries the messages"},
	"os":          {"*": "a machine touches nothing outside; what it needs is an argument"},
	"syscall":     {"*": "a machine touches nothing outside; what it needs is an argument"},
	"sync":        {"*": "a machine belongs to one goroutine at a time, so it locks nothing"},
	"runtime":     {"*": "a machine knows nothing of goroutines and threads"},
	"context":     {"*": "a machine is never blocked, so there is nothing to cancel"},
}

const (
	clockWhy  = "time is an argument of a machine, and Deadline says when it wants to be called again"
	randomWhy = "chance is an argument too, or a failing test could not be repeated"
	goWhy     = "a machine runs in its caller's goroutine: no go, select or channel"
)

// sources of chance that a caller passes in, so naming them is no chance.
var seeded = map[string]bool{
	"New": true, "NewPCG": true, "NewChaCha8": true, "NewZipf": true, "NewSource": true,
	"Rand": true, "Source": true, "Zipf": true, "PCG": true, "ChaCha8": true,
}

// CheckPure looks in pure packages for clocks, chance, goroutines, locks,
// sockets and loggers. Their tests are free to use them.
func CheckPure(tree *Tree) []Violation {
	var found []Violation
	for _, file := range tree.goFiles() {
		layer, _ := layerOf(Layers, file.Package())
		if !layer.Pure || file.IsTest() {
			continue
		}
		found = append(found, impureImports(file)...)
		found = append(found, impureNames(file)...)
		found = append(found, concurrency(file)...)
	}
	return found
}

func impureImports(file File) []Violation {
	var found []Violation
	for _, spec := range file.Go.Imports {
		imported := importPath(spec)
		for banned, names := range forbidden {
			if why, whole := names["*"]; whole && within(imported, banned) {
				found = append(found, file.violation(spec.Pos(), why, "pure package imports %s", imported))
			}
		}
	}
	return found
}

func impureNames(file File) []Violation {
	var found []Violation
	packages := importNames(file)
	ast.Inspect(file.Go, func(node ast.Node) bool {
		imported, name := qualified(packages, node)
		why := forbidden[imported][name]
		if strings.HasPrefix(imported, "math/rand") && !seeded[name] {
			why = randomWhy
		}
		if why != "" {
			found = append(found, file.violation(node.Pos(), why, "pure package uses %s.%s", imported, name))
		}
		return true
	})
	return found
}

func concurrency(file File) []Violation {
	var found []Violation
	ast.Inspect(file.Go, func(node ast.Node) bool {
		what := ""
		switch node.(type) {
		case *ast.GoStmt:
			what = "a go statement"
		case *ast.SelectStmt:
			what = "a select statement"
		case *ast.ChanType:
			what = "a channel"
		}
		if what != "" {
			found = append(found, file.violation(node.Pos(), goWhy, "pure package has %s", what))
		}
		return true
	})
	return found
}

// CheckSleep finds time.Sleep in tests, called or only named.
func CheckSleep(tree *Tree) []Violation {
	var found []Violation
	for _, file := range tree.goFiles() {
		if !file.IsTest() {
			continue
		}
		packages := importNames(file)
		ast.Inspect(file.Go, func(node ast.Node) bool {
			if imported, name := qualified(packages, node); imported == "time" && name == "Sleep" {
				found = append(found, file.violation(node.Pos(),
					"a sleep is too short on a busy machine and too long on all others; wait for the event",
					"time.Sleep in a test"))
			}
			return true
		})
	}
	return found
}

// importNames maps the names by which a file knows its imports to their paths.
func importNames(file File) map[string]string {
	names := map[string]string{}
	for _, spec := range file.Go.Imports {
		imported := importPath(spec)
		name := path.Base(imported)
		if name == "v2" {
			name = path.Base(path.Dir(imported))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = imported
	}
	return names
}

// qualified returns the import and the name of a selector like time.Now, and
// nothing for any other node.
func qualified(packages map[string]string, node ast.Node) (imported, name string) {
	selector, ok := node.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	ident, ok := selector.X.(*ast.Ident)
	if !ok {
		return "", ""
	}
	return packages[ident.Name], selector.Sel.Name
}
