package arch

import "go/ast"

// The house measures that are limits; the aims are lower (CONTRIBUTING.md).
const (
	maxFileLines     = 500
	maxFunctionLines = 70
)

// CheckSize finds files and functions that are too long to be one noun or to
// be read at once. Generated code is not read, so not measured.
func CheckSize(tree *Tree) []Violation {
	var found []Violation
	for _, file := range tree.goFiles() {
		if lines := file.Lines(); lines > maxFileLines {
			found = append(found, file.violation(file.Go.Package, "one file holds one noun",
				"%d lines, at most %d", lines, maxFileLines))
		}
		for _, decl := range file.Go.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := file.line(function.End()) - file.line(function.Pos()) + 1
			if lines > maxFunctionLines {
				found = append(found, file.violation(function.Pos(), "a function fits a screen",
					"%s has %d lines, at most %d", function.Name.Name, lines, maxFunctionLines))
			}
		}
	}
	return found
}
