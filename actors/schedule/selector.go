package schedule

import (
	"fmt"
	"slices"
	"strings"
)

// Selector is a conjunction of conditions on labels: "gpu=a100|h100,zone!=b,big,!old" wants the label gpu to be one of two values, zone to be absent
// or not b, big to be there, and old not to be. The conditions are those of Kubernetes' label selectors, with | for its "in". The zero Selector matches everything.
type Selector struct {
	conditions []condition
}

type condition struct {
	label  string
	values []string // nil: it is enough to be there
	not    bool
}

// maxConditions bounds what matching one worker costs.
const maxConditions = 32

// ParseSelector reads a selector; blanks around its parts are ignored. The error names the part.
func ParseSelector(s string, isLabel, isValue func(string) bool) (Selector, error) {
	var all []condition
	for part := range strings.SplitSeq(s, ",") {
		c, err := parseCondition(strings.TrimSpace(part), isLabel, isValue)
		if err != nil {
			return Selector{}, err
		}
		all = append(all, c)
	}
	if len(all) > maxConditions {
		return Selector{}, fmt.Errorf("the selector has %d conditions: at most %d are possible", len(all), maxConditions)
	}
	slices.SortStableFunc(all, func(a, b condition) int { return strings.Compare(a.String(), b.String()) })
	return Selector{slices.CompactFunc(all, func(a, b condition) bool { return a.String() == b.String() })}, nil
}

func parseCondition(s string, isLabel, isValue func(string) bool) (condition, error) {
	label, value, valued := strings.Cut(s, "=")
	var c condition
	if valued {
		label, c.not = strings.CutSuffix(strings.TrimSpace(label), "!")
		for v := range strings.SplitSeq(value, "|") {
			v = strings.TrimSpace(v)
			if !isValue(v) {
				return c, fmt.Errorf("%.100q in the selector: %.100q is no value of a label: printable ASCII without blanks and ,|=! is possible", s, v)
			}
			c.values = append(c.values, v)
		}
		slices.Sort(c.values)
		c.values = slices.Compact(c.values)
	} else {
		label, c.not = strings.CutPrefix(label, "!")
	}
	c.label = strings.TrimSpace(label)
	if !isLabel(c.label) {
		return c, fmt.Errorf("%.100q in the selector: %.100q is no label: conditions look like gpu=yes, gpu=a|b, zone!=b, big or !old, with commas between them", s, c.label)
	}
	return c, nil
}

// Match reports whether the labels, which get returns by name, meet all conditions.
func (s Selector) Match(get func(label string) (string, bool)) bool {
	for _, c := range s.conditions {
		v, there := get(c.label)
		if met := there && (c.values == nil || slices.Contains(c.values, v)); met == c.not {
			return false
		}
	}
	return true
}

// String returns the selector in its one canonical form: two that say the same conditions are the same text.
func (s Selector) String() string {
	parts := make([]string, 0, len(s.conditions))
	for _, c := range s.conditions {
		parts = append(parts, c.String())
	}
	return strings.Join(parts, ",")
}

func (c condition) String() string {
	switch {
	case c.values == nil && c.not:
		return "!" + c.label
	case c.values == nil:
		return c.label
	case c.not:
		return c.label + "!=" + strings.Join(c.values, "|")
	}
	return c.label + "=" + strings.Join(c.values, "|")
}
