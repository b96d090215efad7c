package arch

import (
	"go/ast"
	"go/token"
)

const docsWhy = "a user reads the documentation, not the source: units, ownership, errors, goroutines"

// selfEvident methods fulfil an interface of the standard library, which
// documents them.
var selfEvident = map[string]bool{
	"Error": true, "Is": true, "Len": true, "Less": true, "Read": true, "ServeHTTP": true,
	"String": true, "Swap": true, "Unwrap": true, "Write": true,
}

// CheckDocumented finds exported names without a comment, and packages without
// one. Commands need only a package comment: nobody imports their names.
func CheckDocumented(tree *Tree) []Violation {
	var found []Violation
	packageDoc := map[string]bool{}
	first := map[string]File{}
	for _, file := range tree.goFiles() {
		if file.IsTest() {
			continue
		}
		pkg := file.Package()
		packageDoc[pkg] = packageDoc[pkg] || file.Go.Doc != nil
		if _, seen := first[pkg]; !seen {
			first[pkg] = file
		}
		if file.Go.Name.Name == "main" {
			continue
		}
		for _, decl := range file.Go.Decls {
			found = append(found, undocumented(file, decl)...)
		}
	}
	for pkg, file := range first {
		if !packageDoc[pkg] {
			found = append(found, file.violation(file.Go.Package, docsWhy, "package %s has no package comment", pkg))
		}
	}
	return found
}

func undocumented(file File, decl ast.Decl) []Violation {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Doc == nil && decl.Name.IsExported() && receiverExported(decl) {
			return []Violation{file.violation(decl.Pos(), docsWhy, "%s is not documented", decl.Name.Name)}
		}
	case *ast.GenDecl:
		return undocumentedSpecs(file, decl)
	}
	return nil
}

// receiverExported tells functions, and methods that a user can see and that
// no interface of the standard library documents.
func receiverExported(decl *ast.FuncDecl) bool {
	if decl.Recv == nil {
		return true
	}
	if selfEvident[decl.Name.Name] {
		return false
	}
	receiver := decl.Recv.List[0].Type
	for {
		switch inner := receiver.(type) {
		case *ast.StarExpr:
			receiver = inner.X
		case *ast.IndexExpr:
			receiver = inner.X
		case *ast.IndexListExpr:
			receiver = inner.X
		case *ast.Ident:
			return inner.IsExported()
		default:
			return false
		}
	}
}

func undocumentedSpecs(file File, decl *ast.GenDecl) []Violation {
	var found []Violation
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && spec.Doc == nil && decl.Doc == nil {
				found = append(found, file.violation(spec.Pos(), docsWhy, "%s is not documented", spec.Name.Name))
			}
		case *ast.ValueSpec:
			// A comment above a group of constants speaks for the group.
			if spec.Doc != nil || spec.Comment != nil || decl.Doc != nil || decl.Tok == token.IMPORT {
				continue
			}
			for _, name := range spec.Names {
				if name.IsExported() {
					found = append(found, file.violation(name.Pos(), docsWhy, "%s is not documented", name.Name))
				}
			}
		}
	}
	return found
}
