package arch

import (
	"fmt"
	"go/ast"
	"regexp"
	"strings"
)

const wallWhy = "a wall clock jumps (NTP, operators, suspended machines): decide by the monotonic reading, which time.Now and time.Since keep, or by the loop's clock"

// wallReads are what reads a wall clock, or strips a time of its monotonic reading. Those that a duration has as well count with the argument 0 only.
var wallReads = map[string]bool{
	"Unix": true, "UnixMilli": true, "UnixMicro": true, "UnixNano": true, "Date": true, "Parse": true, "UTC": true, "Local": true, "In": true,
}

// wallClockFree are the folders whose code decides by time.
var wallClockFree = []string{"actors", "bridge", "supervision", "patterns"}

// wallClockAllowed are the exceptions: nothing is decided there by the order of times.
var wallClockAllowed = map[string]string{
	"patterns/assigner/keys/dir.go": "a file's times are compared with earlier ones of the same file, for being others",
}

// CheckWallClock finds wall clocks where something is decided by time: in Go, and in Python and C that ship with it.
func CheckWallClock(tree *Tree) []Violation {
	var found []Violation
	for _, file := range tree.goFiles() {
		if file.IsTest() || !underAny(file.Path, wallClockFree) || wallClockAllowed[file.Path] != "" {
			continue
		}
		packages := importNames(file)
		ast.Inspect(file.Go, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			if name := wallRead(packages, call); name != "" {
				found = append(found, file.violation(call.Pos(), wallWhy, "%s reads a wall clock", name))
			}
			return true
		})
	}
	return append(found, foreignWallClocks(tree)...)
}

// wallRead names what a call reads of a wall clock, empty if it reads none.
func wallRead(packages map[string]string, call *ast.CallExpr) string {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	name := selector.Sel.Name
	imported, _ := qualified(packages, selector)
	if imported != "" && imported != "time" {
		return "" // a function of another package
	}
	if (name == "Round" || name == "Truncate") && len(call.Args) == 1 {
		if zero, ok := call.Args[0].(*ast.BasicLit); ok && zero.Value == "0" {
			return name + "(0)"
		}
	}
	if wallReads[name] && (name != "Parse" || imported == "time") { // headers are parsed, too
		return name
	}
	return ""
}

var foreignWallClock = map[string]*regexp.Regexp{
	".py": regexp.MustCompile(`\btime\.(time|time_ns|localtime|gmtime)\(|\bdatetime\b`),
	".c":  regexp.MustCompile(`\bgettimeofday\b|\bCLOCK_REALTIME\b|\btime\(NULL\)`),
}

// foreignWallClocks looks at the Python library and at the C code of the bridge and of the benchmarks.
func foreignWallClocks(tree *Tree) []Violation {
	var found []Violation
	for _, file := range tree.Files {
		if !underAny(file.Path, []string{"bridge", "examples/python", "test/bench/c"}) || strings.Contains(file.Path, "/test_") {
			continue
		}
		for ending, pattern := range foreignWallClock {
			if !strings.HasSuffix(file.Path, ending) {
				continue
			}
			for number, line := range strings.Split(string(file.Data), "\n") {
				if read := pattern.FindString(line); read != "" {
					found = append(found, Violation{Path: file.Path, Line: number + 1, What: fmt.Sprintf("%q reads a wall clock", read), Why: wallWhy})
				}
			}
		}
	}
	return found
}

func underAny(path string, folders []string) bool {
	for _, folder := range folders {
		if strings.HasPrefix(path, folder+"/") {
			return true
		}
	}
	return false
}
