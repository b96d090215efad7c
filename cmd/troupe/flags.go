package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// choice is a flag with few possible values; the first is the default.
type choice struct {
	all   []string
	value string
}

func oneOf(all ...string) choice { return choice{all: all, value: all[0]} }

// String returns the chosen value.
func (c *choice) String() string { return c.value }

// Set chooses a value.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.all, s) {
		return fmt.Errorf("%q is not possible: use %s", s, strings.Join(c.all, " or "))
	}
	c.value = s
	return nil
}

// Type is shown in the help.
func (c *choice) Type() string { return strings.Join(c.all, "|") }

// size is a flag for a number of bytes: 4096, 64KiB, 32MiB, 1GiB.
type size int64

var sizeUnits = []struct {
	name   string
	factor int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}}

// String returns the size in the largest unit that divides it.
func (s *size) String() string {
	for _, u := range sizeUnits[:3] {
		if n := int64(*s); n != 0 && n%u.factor == 0 {
			return strconv.FormatInt(n/u.factor, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(*s), 10)
}

// Set reads a size.
func (s *size) Set(text string) error {
	number, factor := text, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			number, factor = rest, u.factor
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 1 || n > (1<<62)/factor {
		return fmt.Errorf("%q is not a size: write a number from 1, with KiB, MiB or GiB if you like", text)
	}
	*s = size(n * factor)
	return nil
}

// Type is shown in the help.
func (s *size) Type() string { return "size" }
