package settings

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Kind is a layer that a value can come from; a later one wins.
type Kind int

// The layers.
const (
	Default Kind = iota
	FromFile
	FromEnv
	FromFlag
)

// Origin says where a value comes from.
type Origin struct {
	Kind  Kind
	Where string // file:line, or the variable; empty for defaults and flags
}

// String returns what config show --origin prints.
func (o Origin) String() string {
	switch o.Kind {
	case FromFile, FromEnv:
		return o.Where
	case FromFlag:
		return "flag"
	default:
		return "default"
	}
}

// Layers are a file and an environment, below a command line.
type Layers struct {
	File *File // nil: none
	Env  *Env
}

// Fill sets every flag that the command line has not set, if the environment or the file says something. The sections that speak for a flag are given
// by sections, the nearest first; none: the flag is left alone. It returns where each flag's value comes from.
func (l Layers) Fill(flags *pflag.FlagSet, sections func(*pflag.Flag) []string) (map[string]Origin, error) {
	origins := make(map[string]Origin)
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if failed == nil {
			origins[f.Name], failed = l.fill(f, sections(f))
		}
	})
	return origins, failed
}

func (l Layers) fill(f *pflag.Flag, sections []string) (Origin, error) {
	if f.Changed {
		return Origin{Kind: FromFlag}, nil
	}
	if len(sections) == 0 {
		return Origin{}, nil
	}
	if name, text, set := l.Env.find(sections, f.Name); set {
		if err := assign(f, []string{text}, false); err != nil {
			return Origin{}, fmt.Errorf("%s: %s", name, refusal(f, []string{text}, err))
		}
		return Origin{FromEnv, name}, nil
	}
	for _, section := range append(append([]string{}, sections...), Common) {
		e := l.File.find(section, f.Name)
		if e == nil {
			continue
		}
		where := fmt.Sprintf("%s:%d", l.File.Path, e.Line)
		if err := assign(f, e.Texts, isList(f)); err != nil { // it went well when the file was read, with a flag like this one
			return Origin{}, fmt.Errorf("%s: %s: %s", where, keyName(section, f.Name), refusal(f, e.Texts, err))
		}
		return Origin{FromFile, where}, nil
	}
	return Origin{}, nil
}

// assign sets a flag as if it had been given. The texts of a list replace it; one text that is no list is taken apart at its commas by flags that are lists.
func assign(f *pflag.Flag, texts []string, list bool) (err error) {
	if slice, yes := f.Value.(pflag.SliceValue); yes && list {
		err = slice.Replace(texts)
	} else {
		err = f.Value.Set(texts[0])
	}
	if err == nil {
		f.Changed = true
	}
	return err
}

// refusal says why a flag does not take a value. Flags of our own say it themselves.
func refusal(f *pflag.Flag, texts []string, err error) string {
	if Secret(f.Name) {
		return "it cannot be used"
	}
	switch kind := kindOf(f); {
	case len(texts) != 1:
	case kind == "bool", kind == "duration", isNumber(kind), strings.HasPrefix(kind, "float"):
		return fmt.Sprintf("found %s, wanted %s", shortened(texts[0]), wanted(f))
	}
	return err.Error()
}
