package main

import (
	"cmp"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// words are words with how often they occur.
type words map[string]int

func countFile(path string) (words, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	w := make(words)
	for word := range strings.FieldsFuncSeq(string(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
		w[strings.ToLower(word)]++
	}
	return w, nil
}

func (w words) add(other words) {
	for word, n := range other {
		w[word] += n
	}
}

// top returns the n most frequent words.
func (w words) top(n int) []string {
	all := slices.SortedFunc(maps.Keys(w), func(a, b string) int { return cmp.Or(w[b]-w[a], strings.Compare(a, b)) })
	return all[:min(n, len(all))]
}

func (w words) total() (n int) {
	for _, m := range w {
		n += m
	}
	return n
}

// standardLibrary is where this machine's Go has its sources.
func standardLibrary() string {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "."
	}
	return filepath.Join(strings.TrimSpace(string(root)), "src")
}

// sources lists the Go files below a folder, in order.
func sources(root string, most int) ([]string, error) {
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(path, ".go"):
			all = append(all, path)
		}
		if most > 0 && len(all) == most {
			return filepath.SkipAll
		}
		return nil
	})
	return all, err
}
