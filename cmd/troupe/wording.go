package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/cmd/troupe/internal/settings"
)

// reworded is an error in the words of those who set flags, not of those who write Go.
type reworded struct {
	text string
	err  error
}

// Error returns the new text.
func (r *reworded) Error() string { return r.text }

// Unwrap returns the error as it was.
func (r *reworded) Unwrap() error { return r.err }

var (
	goField  = regexp.MustCompile(`\b((?:[A-Z][a-z]*)*Config\.)?([A-Z][A-Za-z]+)\b`)
	goPrefix = regexp.MustCompile(`^(assigner|bridge|zmqsock): `)
	flagName = regexp.MustCompile(`--[a-z][a-z-]*[a-z]`)
)

// fieldFlags are the fields of a configuration whose flags have other names.
var fieldFlags = map[string]string{"Clients": "client", "Workers": "worker", "Services": "service", "HeartbeatTimeout": "silence", "MaxMsgSize": "max-body"}

// inWordsOfFlags turns an error about a configuration into one about flags: it names flags in place of Go's fields, and says where their values come
// from if that is not the command line.
func (a *app) inWordsOfFlags(cmd *cobra.Command, err error) error {
	if exitCode(err) != exitUsage || !a.started {
		return err
	}
	flags := cmd.Flags()
	text := goField.ReplaceAllStringFunc(goPrefix.ReplaceAllString(err.Error(), ""), func(words string) string {
		m := goField.FindStringSubmatch(words)
		if name := flagOf(flags, m[2]); name != "" && (m[1] != "" || goPrefix.MatchString(err.Error())) {
			return "--" + name
		}
		return words
	})
	notes := a.whence(flagName.FindAllString(text, -1))
	var endpoint *zmqsock.EndpointError
	if errors.As(err, &endpoint) && endpoint.Endpoint != "" {
		notes = append(notes, a.whence(holders(flags, endpoint.Endpoint))...)
	}
	if len(notes) > 0 {
		text += " (" + strings.Join(slices.Compact(notes), ", ") + ")"
	}
	if text == err.Error() {
		return err
	}
	return &reworded{text, err}
}

// flagOf returns the flag for a field of a configuration, "" if there is none.
func flagOf(flags *pflag.FlagSet, field string) string {
	name := fieldFlags[field]
	if name == "" {
		name = strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(field, "$1-$2"))
	}
	if flags.Lookup(name) == nil {
		return ""
	}
	return name
}

// holders returns the flags whose values contain a text.
func holders(flags *pflag.FlagSet, text string) (all []string) {
	flags.VisitAll(func(f *pflag.Flag) {
		if slices.Contains(valuesOf(f), text) {
			all = append(all, "--"+f.Name)
		}
	})
	return all
}

// whence says of flags where their values come from, those apart that are defaults or were given.
func (a *app) whence(flags []string) (notes []string) {
	for _, name := range flags {
		switch o := a.origins[strings.TrimPrefix(name, "--")]; o.Kind {
		case settings.FromFile, settings.FromEnv:
			notes = append(notes, fmt.Sprintf("%s comes from %s", name, o.Where))
		case settings.Default, settings.FromFlag:
		}
	}
	return notes
}

// valuesOf returns what a flag holds.
func valuesOf(f *pflag.Flag) []string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.GetSlice()
	}
	return []string{f.Value.String()}
}
