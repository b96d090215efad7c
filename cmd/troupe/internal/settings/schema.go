package settings

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Common is the section of the keys at the top level of the file, which speak for all commands.
const Common = ""

// Schema lists the keys that a file may hold, by section. Its flags stand for their types and defaults; checking a file sets them, so they must
// belong to nobody else. It is not safe for concurrent use.
type Schema struct {
	sections map[string]map[string]*pflag.Flag
}

// Add makes a flag a key of a section. The first flag of a name stays.
func (s *Schema) Add(section string, f *pflag.Flag) {
	if s.sections == nil {
		s.sections = map[string]map[string]*pflag.Flag{Common: {}}
	}
	if s.sections[section] == nil {
		s.sections[section] = make(map[string]*pflag.Flag)
	}
	if s.sections[section][f.Name] == nil {
		s.sections[section][f.Name] = f
	}
}

// Sections returns the names of the sections but Common, sorted.
func (s *Schema) Sections() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.sections)), func(name string) bool { return name == Common })
}

// Keys returns the keys of a section, sorted.
func (s *Schema) Keys(section string) []string { return slices.Sorted(maps.Keys(s.sections[section])) }

// Flag returns the flag of a key, nil where there is none.
func (s *Schema) Flag(section, key string) *pflag.Flag { return s.sections[section][key] }

// with returns the sections that have a key.
func (s *Schema) with(key string) []string {
	return slices.DeleteFunc(s.Sections(), func(name string) bool { return s.sections[name][key] == nil })
}

// Secret reports whether the values of a key must not be shown.
func Secret(key string) bool { return key == "key" }

// Mask is shown in place of a secret value.
const Mask = "***"

// wanted says what a value of the flag looks like.
func wanted(f *pflag.Flag) string {
	switch kind := kindOf(f); {
	case isList(f):
		return "a list of " + kind + " values, or one of them"
	case kind == "bool":
		return "true or false"
	case isNumber(kind):
		return "a whole number"
	case kind == "float64", kind == "float32":
		return "a number"
	case kind == "duration":
		return "a duration such as 30s"
	case kind == "string":
		return "a text"
	case kind == "size":
		return "a size such as 4096 or 32MiB"
	case strings.Contains(kind, "|"):
		return strings.Join(strings.Split(kind, "|"), " or ")
	default:
		return kind
	}
}

// kindOf returns the type of a flag, of lists that of their items.
func kindOf(f *pflag.Flag) string {
	return strings.TrimSuffix(strings.TrimSuffix(f.Value.Type(), "Slice"), "Array")
}

func isNumber(kind string) bool {
	return strings.HasPrefix(kind, "int") || strings.HasPrefix(kind, "uint") || kind == "count"
}

func isList(f *pflag.Flag) bool {
	_, list := f.Value.(pflag.SliceValue)
	return list
}
