package arch

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// topLevel is all that may lie at the root, dot files aside.
var topLevel = map[string]bool{
	"go.mod": true, "go.sum": true,
	"actors": true, "bridge": true, "supervision": true, "patterns": true,
	"cmd": true, "examples": true, "test": true, "docs": true,
	"README.md": true, "LICENSE": true, "CHANGELOG.md": true, "CONTRIBUTING.md": true, "Makefile": true,
	"mandelbrot.png": true,                                                   // painted by make demo
	"chaos.json":     true, "chaos-pool.json": true, "chaos-busy.json": true, // written by make chaos and make chaos-busy
	"bench.json": true, // written by make bench and kept, so that figures have a history
}

// CheckTopLevel finds what has no place at the root.
func CheckTopLevel(tree *Tree) []Violation {
	seen := map[string]bool{}
	var found []Violation
	for _, file := range tree.Files {
		top, _, _ := strings.Cut(file.Path, "/")
		if seen[top] || topLevel[top] || strings.HasPrefix(top, ".") {
			continue
		}
		seen[top] = true
		found = append(found, Violation{
			Path: top, What: "has no place at the top level",
			Why: "the top level holds exactly what the architecture lists; scripts go to .ci, documents to docs",
		})
	}
	return found
}

// forbiddenText is what gives away the machine a file was written on. The
// patterns are written so that they do not match themselves.
var forbiddenText = []struct {
	pattern *regexp.Regexp
	why     string
}{
	{
		regexp.MustCompile(`(^|[\s"'=(:<\x60])/(wo[r]k|ro[o]t)/`),
		"a path of one machine means nothing on another",
	},
	{
		regexp.MustCompile(`(^|[\s"'=(:<\x60])/(ho[m]e|Us[e]rs)/[a-z]`),
		"a path of one person's machine means nothing on another",
	},
	{
		regexp.MustCompile(`prox[y]\.golang\.org|su[m]\.golang\.org|registr[y]\.npmjs\.org|de[b]\.debian\.org|pyp[i]\.org|files\.pythonhoste[d]\.org`),
		"where packages come from is each machine's own setting",
	},
	{
		regexp.MustCompile(`(?i)\b(claud[e]|anthropi[c]|chatgp[t]|copilo[t])\b`),
		"the project speaks of itself, not of how it was written",
	},
}

// CheckText finds forbidden text in all files but checksums and binaries.
func CheckText(tree *Tree) []Violation {
	var found []Violation
	for _, file := range tree.Files {
		if strings.HasSuffix(file.Path, "go.sum") || bytes.IndexByte(file.Data, 0) >= 0 {
			continue
		}
		for number, line := range bytes.Split(file.Data, []byte("\n")) {
			for _, rule := range forbiddenText {
				if match := rule.pattern.Find(line); match != nil {
					found = append(found, Violation{
						Path: file.Path, Line: number + 1,
						What: fmt.Sprintf("forbidden text %q", bytes.TrimSpace(match)), Why: rule.why,
					})
				}
			}
		}
	}
	return found
}
