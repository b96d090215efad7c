package settings

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"
)

// Example returns a file with all keys and their defaults, all of them comments: prose begins with "# ", a key with "#".
// Those that are left out are told by head.
func (s *Schema) Example(head string, about func(section string) string, leaveOut func(section, key string) bool) string {
	b := &strings.Builder{}
	for line := range strings.Lines(head) {
		b.WriteString("# " + line)
	}
	b.WriteString("\n")
	b.WriteString(s.example(Common, "", leaveOut))
	for _, section := range s.Sections() {
		if keys := s.example(section, "  ", leaveOut); keys != "" {
			fmt.Fprintf(b, "\n# %s\n%s:\n%s", about(section), section, keys)
		}
	}
	return b.String()
}

func (s *Schema) example(section, indent string, leaveOut func(section, key string) bool) string {
	b := &strings.Builder{}
	for _, key := range s.Keys(section) {
		if f := s.Flag(section, key); !f.Hidden && !leaveOut(section, key) {
			fmt.Fprintf(b, "%s# %s\n%s%s\n", indent, f.Usage, indent, strings.TrimSpace("#"+key+": "+exampleValue(f)))
		}
	}
	return b.String()
}

// exampleValue is a flag's default as YAML; nothing where the default is no value that could be set.
func exampleValue(f *pflag.Flag) string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return asYAML(list.GetSlice())
	}
	kind := kindOf(f)
	if f.Value.Set(f.DefValue) != nil {
		return ""
	}
	if kind == "bool" || isNumber(kind) || strings.HasPrefix(kind, "float") {
		return f.DefValue
	}
	return asYAML(f.DefValue)
}

func asYAML(v any) string {
	text, err := yaml.MarshalWithOptions(v, yaml.Flow(true))
	if err != nil {
		panic("yaml of texts: " + err.Error()) // texts and lists of texts have a form
	}
	return strings.TrimSpace(string(text))
}
