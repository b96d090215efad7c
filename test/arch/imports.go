package arch

import (
	"fmt"
	"path"
	"strings"
)

// CheckImports holds every import, of tests too, against Layers and Cages.
func CheckImports(tree *Tree) []Violation {
	var found []Violation
	for _, file := range tree.goFiles() {
		for _, spec := range file.Go.Imports {
			imported := importPath(spec)
			what, why := judgeImport(file, imported)
			if what != "" {
				found = append(found, file.violation(spec.Pos(), why, "%s", what))
			}
			if spec.Name != nil && spec.Name.Name == "." {
				found = append(found, file.violation(spec.Pos(), "a reader must see where a name comes from",
					"dot import of %s", imported))
			}
		}
	}
	return found
}

// judgeImport returns what is wrong with an import, and the reason of the rule.
func judgeImport(file File, imported string) (what, why string) {
	layer, known := layerOf(Layers, file.Package())
	switch {
	case within(imported, Module):
		target := strings.TrimPrefix(strings.TrimPrefix(imported, Module), "/")
		if !known {
			return "package outside the layers imports " + target, "every package belongs to a layer of test/arch/layers.go"
		}
		return judgeInside(layer, file.Package(), target)
	case isStandard(imported):
		return "", ""
	}
	return judgeOutside(layer, file, imported)
}

func judgeInside(layer Layer, from, target string) (what, why string) {
	if matches(layer.Path, target) {
		return "", ""
	}
	for _, allowed := range layer.Imports {
		if within(target, allowed) {
			return "", ""
		}
	}
	return fmt.Sprintf("%s imports %s", from, target), layer.Why
}

func judgeOutside(layer Layer, file File, imported string) (what, why string) {
	cage, caged := cageOf(imported)
	what = fmt.Sprintf("%s imports %s", file.Package(), imported)
	switch {
	case caged && cage.Tests && file.IsTest():
		return "", ""
	case layer.Pure:
		return what, layer.Why
	case !caged:
		return "", ""
	}
	for _, dir := range cage.In {
		if within(file.Package(), dir) {
			return "", ""
		}
	}
	return what, cage.Why
}

// cageOf finds the row that speaks for an outside import.
func cageOf(imported string) (Cage, bool) {
	var best Cage
	for _, cage := range Cages {
		if within(imported, cage.Module) && len(cage.Module) > len(best.Module) {
			best = cage
		}
	}
	return best, best.Module != ""
}

// isStandard tells the standard library by the missing dot in its first
// element; C is not in it.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") && imported != "C"
}

// CheckLayersExist finds rules that guard nothing: a folder named in the table
// that is not there, which is what a renamed package leaves behind, and a
// Future mark that would hide just that.
func CheckLayersExist(tree *Tree) []Violation {
	const table = "test/arch/layers.go"
	var found []Violation
	for _, layer := range Layers {
		switch exists := layer.exists(tree); {
		case !exists && !layer.Future:
			found = append(found, Violation{
				Path: table, What: layer.Path + " has a rule and is not there",
				Why: "a rule about a renamed package guards nothing; rename it here too, or mark it Future",
			})
		case exists && layer.Future:
			found = append(found, Violation{
				Path: table, What: layer.Path + " is there and still marked Future",
				Why: "the mark would hide a later renaming; drop it",
			})
		}
	}
	return found
}

func (l Layer) exists(tree *Tree) bool {
	for dir := range tree.Dirs {
		if ok, err := path.Match(l.Path, dir); err == nil && ok {
			return true
		}
	}
	return false
}
