package settings

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Prefix begins the names of all variables.
const Prefix = "TROUPE_"

// ConfigVar names the variable with the path of the file.
const ConfigVar = Prefix + "CONFIG"

// toPrograms are the variables in which a worker tells the programs that serve hits what they serve. A command that such a program runs
// must not take them for settings.
var toPrograms = []string{Prefix + "SERVICE", Prefix + "HIT", Prefix + "THREAD", Prefix + "SESSION"}

// fromCluster matches what Kubernetes puts into every container for a service whose name begins with troupe.
var fromCluster = regexp.MustCompile(`_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$`)

// Env is the environment, as far as it is about settings. It is not changed after NewEnv.
type Env struct {
	values  map[string]string   // of the variables that are set and not empty
	names   map[string][]string // section and key, joined by a dot, to its variables, the nearest first
	known   map[string]bool
	twofold map[string][]string // short names that would mean different things, and the long ones to use
}

// NewEnv reads an environment, as os.Environ returns it. Own are short names that take the place of TROUPE_KEY for a key of a section, by section and
// key, joined by a dot.
func NewEnv(environ []string, s *Schema, own map[string]string) *Env {
	e := &Env{values: make(map[string]string), names: make(map[string][]string), known: map[string]bool{ConfigVar: true}, twofold: make(map[string][]string)}
	for _, line := range environ {
		if name, value, ok := strings.Cut(line, "="); ok && strings.HasPrefix(name, Prefix) && value != "" {
			e.values[name] = value
		}
	}
	for _, name := range toPrograms {
		e.known[name] = true
	}
	for _, section := range append(s.Sections(), Common) {
		for _, key := range s.Keys(section) {
			e.name(s, section, key, own)
		}
	}
	return e
}

// name finds the variables of a key.
func (e *Env) name(s *Schema, section, key string, own map[string]string) {
	id := section + "." + key
	var names []string
	if section != Common {
		names = append(names, variable(section, key))
	}
	short := own[id]
	if short == "" {
		short = variable(key)
		var alike []string
		for _, other := range s.with(key) {
			if own[other+"."+key] == "" {
				alike = append(alike, other)
			}
		}
		if different(s, key, alike) {
			e.twofold[short] = append(e.twofold[short], names...)
			short = ""
		}
	}
	if short != "" && !slices.Contains(toPrograms, short) {
		names = append(names, short)
	}
	e.names[id] = names
	for _, name := range names {
		e.known[name] = true
	}
}

// different reports whether a key has not the same type in all of the sections.
func different(s *Schema, key string, sections []string) bool {
	for _, section := range sections {
		if s.Flag(section, key).Value.Type() != s.Flag(sections[0], key).Value.Type() {
			return true
		}
	}
	return false
}

// variable joins words to the name of a variable.
func variable(words ...string) string {
	return Prefix + strings.ToUpper(strings.ReplaceAll(strings.Join(words, "_"), "-", "_"))
}

// Names returns the variables of a key, the one that wins first.
func (e *Env) Names(section, key string) []string { return e.names[section+"."+key] }

// find returns the variable that speaks for a key: the long ones in the order of the sections, then the short one.
func (e *Env) find(sections []string, key string) (name, text string, set bool) {
	for long := range 2 {
		for _, section := range sections {
			names := e.Names(section, key)
			if long < len(names) {
				if text, set = e.values[names[long]]; set {
					return names[long], text, true
				}
			}
		}
	}
	return "", "", false
}

// Config returns the path of the file that the environment names, "" if it names none.
func (e *Env) Config() string { return e.values[ConfigVar] }

// Warnings are about variables that look like settings and are none. They do not show values.
func (e *Env) Warnings() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(e.values)) {
		long := e.twofold[name]
		switch {
		case e.known[name]:
		case len(long) > 0:
			all = append(all, name+" could mean different things, so it is not read: use "+strings.Join(long, " or "))
		case fromCluster.MatchString(name):
		default:
			all = append(all, name+" is set, but no setting has this name"+e.meant(name))
		}
	}
	return all
}

// meant says what an unknown variable may have been meant to be.
func (e *Env) meant(name string) string {
	near := nearest(name, append(slices.Sorted(maps.Keys(e.known)), slices.Sorted(maps.Keys(e.twofold))...))
	if long := e.twofold[near]; len(long) > 0 && !e.known[near] {
		near = strings.Join(long, " or ")
	}
	if near == "" {
		return ": `troupe help config` says what there is"
	}
	return ": did you mean " + near + "?"
}
