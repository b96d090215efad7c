package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// hosts is how many hosts there are.
const hosts = 3

// held are the shards that a member has: its own, and that of the member with the same place on the host before, so that one of them may break.
func (o options) held(member int) [2]int {
	n := hosts * o.perHost
	return [2]int{member, (member + n - o.perHost) % n}
}

// files lists the texts below the root, in order.
func (o options) files() ([]string, error) {
	var all []string
	err := filepath.WalkDir(o.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case o.most > 0 && len(all) == o.most:
			return filepath.SkipAll
		case d.Type().IsRegular() && isText(d.Name()):
			all = append(all, path)
		}
		return nil
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("there are no texts below %s: name another -root", o.root)
	}
	return all, err
}

func isText(name string) bool {
	switch filepath.Ext(name) {
	case ".go", ".md", ".html", ".s", ".txt":
		return true
	}
	return strings.ToUpper(name) == name // README, LICENSE
}

// shard is a part of the texts, in memory.
type shard [][]byte

func (o options) load(i int) (shard, error) {
	all, err := o.files()
	if err != nil {
		return nil, err
	}
	var s shard
	for n := i; n < len(all); n += hosts * o.perHost {
		text, err := os.ReadFile(all[n])
		if err != nil {
			return nil, err
		}
		s = append(s, text)
	}
	return s, nil
}

// count counts the lines that contain a text.
func (s shard) count(what string) (n int) {
	for _, text := range s {
		for line := range bytes.Lines(text) {
			if bytes.Contains(line, []byte(what)) {
				n++
			}
		}
	}
	return n
}
