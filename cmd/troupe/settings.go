package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/cmd/troupe/internal/settings"
)

// clientSection is the section for what all commands share that ask a broker.
const clientSection = "client"

// Commands whose flags say what to do now, not how: nothing but their command line sets them.
var oneOff = []string{"keys add", "keys make", "client python", "config show", "config check", "config example"}

// Commands that run brokers and workers: their flags are their own, whatever clients have.
var servers = []string{"broker", "worker"}

// ownVariables take the place of the short variable of a key, which would mean the endpoint for clients here.
var ownVariables = map[string]string{"worker.broker": workersEnv}

// pathOf is the command without the name of the program.
func pathOf(cmd *cobra.Command) string {
	_, path, _ := strings.Cut(cmd.CommandPath(), " ")
	return path
}

// sectionsOf returns the sections of the file that speak for a flag of the command, the nearest first; Common always does. None: the flag is set on
// the command line only.
func sectionsOf(cmd *cobra.Command) func(*pflag.Flag) []string {
	path := pathOf(cmd)
	noun, _, _ := strings.Cut(path, " ")
	shared := sharedFlags()
	common := cmd.Root().PersistentFlags()
	return func(f *pflag.Flag) []string {
		once := slices.Contains(oneOff, path)
		switch {
		case f.Name == "help", f.Name == "config", f.Name == "version":
			return nil
		case common.Lookup(f.Name) == f && (once || noun == "config" || noun == "version"):
			return []string{settings.Common}
		case once && cmd.InheritedFlags().Lookup(f.Name) == nil:
			return nil
		case noun == "worker" && path != noun:
			return []string{clientSection} // the section is for those who run one
		case !slices.Contains(servers, noun) && (shared.Lookup(f.Name) != nil || common.Lookup(f.Name) == f) && cmd.Flags().Lookup("timeout") != nil:
			return []string{noun, clientSection}
		case noun == clientSection:
			return []string{settings.Common}
		}
		return []string{noun}
	}
}

// sharedFlags are those of all commands that ask a broker.
func sharedFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&target{}).add(flags, 10*time.Second, "an answer")
	return flags
}

// each calls do for all commands below one.
func each(cmd *cobra.Command, do func(*cobra.Command)) {
	for _, c := range cmd.Commands() {
		do(c)
		each(c, do)
	}
}

// newSchema finds all keys that a file may have, in commands that nobody runs.
func newSchema() (*settings.Schema, *cobra.Command) {
	root := newApp(nil, nil, nil).root()
	schema := &settings.Schema{}
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" {
			schema.Add(settings.Common, f)
		}
	})
	sharedFlags().VisitAll(func(f *pflag.Flag) { schema.Add(clientSection, f) })
	each(root, func(cmd *cobra.Command) {
		if !cmd.Runnable() || !settled(cmd) {
			return
		}
		sections := sectionsOf(cmd)
		_ = cmd.InheritedFlags() // cobra joins the flags only when it is asked
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			for _, section := range sections(f) {
				schema.Add(section, f)
			}
		})
	})
	return schema, root
}

// settled is false for the commands that a shell runs, which must work whatever a file says.
func settled(cmd *cobra.Command) bool {
	noun, _, _ := strings.Cut(pathOf(cmd), " ")
	return !slices.Contains([]string{"completion", "help", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}, noun)
}

// settle fills the flags that the command line left unset, from the environment and the configuration file, and makes the logger.
func (a *app) settle(cmd *cobra.Command) error {
	defer func() { a.logger = newLogger(a.err, a.level.String(), a.logs.String()) }()
	if !settled(cmd) {
		return nil
	}
	schema, _ := newSchema()
	env := settings.NewEnv(os.Environ(), schema, ownVariables)
	if cmd.CalledAs() != "" { // not for a shell that completes
		for _, w := range env.Warnings() {
			fmt.Fprintf(a.err, "troupe: %s\n", w)
		}
	}
	layers := settings.Layers{Env: env}
	var err error
	if path := pathOf(cmd); path != "config check" && path != "config example" {
		if layers.File, err = loadConfig(a.config, env, schema); err != nil {
			return usage(err)
		}
	}
	if a.origins, err = layers.Fill(cmd.Flags(), sectionsOf(cmd)); err != nil {
		return usage(err)
	}
	a.layers = layers
	if layers.File != nil {
		newLogger(a.err, a.level.String(), a.logs.String()).Debug("configuration", "file", layers.File.Path)
	}
	return nil
}

// loadConfig reads the file that is named, or found; none is fine.
func loadConfig(named string, env *settings.Env, schema *settings.Schema) (*settings.File, error) {
	path := firstOf(named, env.Config())
	if path == "" {
		var err error
		if path, err = settings.Find(settings.Places(os.Getenv)); err != nil || path == "" {
			return nil, err
		}
	}
	return settings.Load(path, schema)
}

// typed reports whether a flag was given on the command line.
func (a *app) typed(flag string) bool { return a.origins[flag].Kind == settings.FromFlag }
