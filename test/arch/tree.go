package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"sort"
	"strconv"
	"strings"
)

// Module is the path of the main module.
const Module = "github.com/troupe-mq/troupe"

// Tree is a repository as the rules see it. It is not changed after Load.
type Tree struct {
	Files []File // sorted by path
	Dirs  map[string]bool
}

// File is one file of a Tree.
type File struct {
	Path string // from the root, slashes
	Data []byte
	Go   *ast.File // nil where the file is not Go, or is test data
	fset *token.FileSet
}

// Violation is one place that breaks one rule.
type Violation struct {
	Path string
	Line int // 0 where the whole file or folder is meant
	What string
	Why  string
}

// String is the violation in the form that editors jump to.
func (v Violation) String() string {
	return fmt.Sprintf("%s:%d: %s (%s)", v.Path, v.Line, v.What, v.Why)
}

// ignoredNames and ignoredSuffixes say the same as .gitignore: what a build or
// a run leaves behind is nobody's source.
var (
	ignoredNames = map[string]bool{
		".git": true, "bin": true, "coverage": true, "node_modules": true, "__pycache__": true,
		".idea": true, ".vscode": true, "test/bench/tmp": true,
	}
	ignoredSuffixes = []string{".pyc", ".prof", ".out", ".test", ".swp"}
)

// Load reads every source file below the root of fsys. It fails on a file that
// cannot be read and on Go source that does not parse.
func Load(fsys fs.FS) (*Tree, error) {
	tree := &Tree{Dirs: map[string]bool{}}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ignored(name) && entry.IsDir():
			return fs.SkipDir
		case entry.IsDir():
			tree.Dirs[name] = true
			return nil
		case ignored(name) || !entry.Type().IsRegular():
			return nil
		}
		file, err := readFile(fsys, name)
		if err != nil {
			return fmt.Errorf("arch: load %s: %w", name, err)
		}
		tree.Files = append(tree.Files, file)
		return nil
	})
	if err != nil {
		return nil, err
	}
	sort.Slice(tree.Files, func(i, j int) bool { return tree.Files[i].Path < tree.Files[j].Path })
	return tree, nil
}

func ignored(name string) bool {
	if ignoredNames[name] || ignoredNames[path.Base(name)] {
		return true
	}
	for _, suffix := range ignoredSuffixes {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

func readFile(fsys fs.FS, name string) (File, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return File{}, err
	}
	file := File{Path: name, Data: data}
	if !strings.HasSuffix(name, ".go") || strings.Contains("/"+name, "/testdata/") {
		return file, nil
	}
	file.fset = token.NewFileSet()
	file.Go, err = parser.ParseFile(file.fset, name, data, parser.ParseComments|parser.SkipObjectResolution)
	return file, err
}

// Package is the folder of the file, which is its import path below Module.
func (f File) Package() string { return path.Dir(f.Path) }

// IsTest tells files that only `go test` compiles.
func (f File) IsTest() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Lines counts the lines of the file.
func (f File) Lines() int {
	lines := bytes.Count(f.Data, []byte("\n"))
	if len(f.Data) > 0 && f.Data[len(f.Data)-1] != '\n' {
		lines++
	}
	return lines
}

func (f File) line(pos token.Pos) int { return f.fset.Position(pos).Line }

func (f File) violation(pos token.Pos, why, format string, args ...any) Violation {
	return Violation{Path: f.Path, Line: f.line(pos), What: fmt.Sprintf(format, args...), Why: why}
}

// goFiles are the files with Go source that somebody wrote.
func (t *Tree) goFiles() []File {
	var files []File
	for _, file := range t.Files {
		if file.Go != nil && !ast.IsGenerated(file.Go) {
			files = append(files, file)
		}
	}
	return files
}

// importPath is the unquoted path of an import.
func importPath(spec *ast.ImportSpec) string {
	unquoted, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic("arch: the parser accepted an import path that is no string: " + spec.Path.Value)
	}
	return unquoted
}

// within tells whether p is dir or lies below it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}
