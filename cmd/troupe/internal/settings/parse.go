package settings

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/spf13/pflag"
)

// reading is a file while it is read.
type reading struct {
	*source
	schema *Schema
	file   *File
}

// Parse reads the text of a file. The error is a *FileError.
func Parse(path string, data []byte, s *Schema) (*File, error) {
	r := &reading{source: newSource(path, data), schema: s, file: &File{Path: path}}
	switch {
	case len(data) > maxFile:
		return nil, &FileError{Path: path, Text: fmt.Sprintf("it has more than %d bytes, which no configuration needs: is it another file?", maxFile)}
	case !utf8.Valid(data):
		return nil, &FileError{Path: path, Text: "it is not UTF-8 text: save it as UTF-8"}
	}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, r.syntax(err)
	}
	read := false
	for _, doc := range tree.Docs {
		switch {
		case doc.Body == nil:
			continue
		case read:
			return nil, r.at(doc.Body, "a second document begins: a configuration is one document, take the --- line out")
		}
		read = true
		if err := r.top(doc.Body); err != nil {
			return nil, err
		}
	}
	return r.file, nil
}

// syntax words an error of the YAML library.
func (r *reading) syntax(err error) error {
	var told yaml.Error
	if !errors.As(err, &told) || told.GetToken() == nil || told.GetToken().Position == nil {
		return &FileError{Path: r.path, Text: "it is not YAML: " + err.Error()}
	}
	p := told.GetToken().Position
	text := told.GetMessage()
	if strings.Contains(text, handed) {
		text = "it cannot be read"
	}
	return r.fail(p.Line, p.Column, "not YAML as it should be: %s", text)
}

func (r *reading) at(n ast.Node, format string, values ...any) error {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return r.fail(t.Position.Line, t.Position.Column, format, values...)
	}
	return &FileError{Path: r.path, Text: fmt.Sprintf(format, values...)}
}

// pair is a key and its value.
type pair struct {
	key   string
	node  ast.Node // of the key
	value ast.Node
}

// pairs returns what a mapping holds, in order.
func (r *reading) pairs(n ast.Node, what string) ([]pair, error) {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
		return nil, nil
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		return nil, r.at(n, "%s: found %s, wanted keys with values, as in \"log-level: info\"", what, found(n, false))
	}
	var all []pair
	seen := make(map[string]bool)
	for _, v := range values {
		name, ok := v.Key.(*ast.StringNode)
		if !ok {
			return nil, r.at(v.Key, "%s: found %s as a key, wanted a name", what, found(v.Key, false))
		}
		if seen[name.Value] {
			return nil, r.at(v.Key, "%s: the key %s is there twice: leave one of the two out", what, name.Value)
		}
		seen[name.Value] = true
		all = append(all, pair{name.Value, v.Key, v.Value})
	}
	return all, nil
}

// top reads the top level: keys for all commands, and sections.
func (r *reading) top(n ast.Node) error {
	all, err := r.pairs(n, "the top level")
	if err != nil {
		return err
	}
	for _, p := range all {
		if r.schema.Flag(Common, p.key) != nil {
			err = r.entry(Common, p)
		} else if len(r.schema.Keys(p.key)) > 0 {
			err = r.section(p)
		} else {
			err = r.at(p.node, "%q is no key of the top level: %s", p.key, r.meant(p.key, append(r.schema.Sections(), r.schema.Keys(Common)...)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) section(of pair) error {
	all, err := r.pairs(of.value, of.key)
	if err != nil {
		return err
	}
	for _, p := range all {
		if r.schema.Flag(of.key, p.key) == nil {
			return r.at(p.node, "%q is no key of %s: %s", p.key, of.key, r.meant(p.key, r.schema.Keys(of.key)))
		}
		if err := r.entry(of.key, p); err != nil {
			return err
		}
	}
	return nil
}

// meant says what an unknown key may have been meant to be.
func (r *reading) meant(key string, names []string) string {
	if others := r.schema.with(key); len(others) > 0 {
		return "it is one of " + strings.Join(others, ", ") + ": write it below that"
	}
	if near := nearest(key, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "there are " + strings.Join(names, ", ")
}

// entry reads one value. One that is left empty leaves the default.
func (r *reading) entry(section string, p pair) error {
	if _, empty := p.value.(*ast.NullNode); empty || p.value == nil {
		return nil
	}
	f := r.schema.Flag(section, p.key)
	e := Entry{Section: section, Key: p.key}
	if t := p.value.GetToken(); t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	items := []ast.Node{p.value}
	if list, ok := p.value.(*ast.SequenceNode); ok && isList(f) {
		items = list.Values
	}
	for _, item := range items {
		text, ok := scalar(item, f)
		if !ok {
			return r.at(item, "%s: found %s, wanted %s", keyName(section, p.key), found(item, Secret(p.key)), wanted(f))
		}
		e.Texts = append(e.Texts, text)
	}
	if err := assign(f, e.Texts, isList(f)); err != nil {
		return r.at(p.value, "%s: %s", keyName(section, p.key), refusal(f, e.Texts, err))
	}
	r.file.Entries = append(r.file.Entries, e)
	return nil
}

// scalar returns a value as the flag takes it; false: it is of another type.
func scalar(n ast.Node, f *pflag.Flag) (string, bool) {
	kind := kindOf(f)
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, kind != "bool" && !isNumber(kind) && !strings.HasPrefix(kind, "float")
	case *ast.LiteralNode:
		return v.Value.Value, kind == "string"
	case *ast.BoolNode:
		return v.GetToken().Value, kind == "bool"
	case *ast.IntegerNode:
		text := v.GetToken().Value
		return text, kind != "bool" && kind != "string" && (kind != "duration" || text == "0")
	case *ast.FloatNode:
		return v.GetToken().Value, strings.HasPrefix(kind, "float")
	}
	return "", false
}

// found names what stands in place of what is wanted.
func found(n ast.Node, secret bool) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys with values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode, *ast.MappingKeyNode:
		return "an anchor, alias, tag or merge, which a configuration does not need"
	}
	text := ""
	if t := n.GetToken(); t != nil && !secret {
		text = " " + shortened(t.Value)
	}
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return "the text" + text
	case *ast.BoolNode:
		return "the truth value" + text
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number" + text
	}
	return "something else"
}

func shortened(text string) string {
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:60], "") + "..."
	}
	return fmt.Sprintf("%q", text)
}
