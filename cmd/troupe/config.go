package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/cmd/troupe/internal/settings"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Show and check the configuration", Args: cobra.NoArgs, RunE: needsCommand,
		Long: `Show and check the configuration. Every flag has a value from the first of these that says something:

  the command line   --max-wait 10s
  the environment    TROUPE_BROKER_MAX_WAIT=10s for one command, TROUPE_MAX_WAIT=10s for all
  the file           broker:
                       max-wait: 10s
  the default

The file is the one of --config or TROUPE_CONFIG, else the first that is there of ./troupe.yaml, $XDG_CONFIG_HOME/troupe/config.yaml (that
is ~/.config/troupe/config.yaml) and /etc/troupe/config.yaml.`,
		Example: `  troupe config example > troupe.yaml
  troupe config check troupe.yaml
  troupe config show broker --origin`,
	}
	cmd.AddCommand(a.configShowCommand(), a.configCheckCommand(), a.configExampleCommand())
	return cmd
}

func (a *app) configExampleCommand() *cobra.Command {
	return &cobra.Command{
		Use: "example", Short: "Print a file with all keys and their defaults, as comments", Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			text := exampleConfig()
			if a.json() {
				return a.printJSON(map[string]any{"text": text})
			}
			_, err := io.WriteString(a.out, text)
			return err
		},
	}
}

// exampleConfig is a file in which every key is a comment with its default.
func exampleConfig() string {
	schema, root := newSchema()
	head := `Configuration of troupe, with all keys and their defaults. Take the # before a key away to set it.
Flags and variables (TROUPE_*) win over this file: troupe config show --origin tells what holds.
The first keys can also stand in a section, for its commands only, and those of client in the sections of all commands that ask a broker.
`
	return schema.Example(head, func(section string) string {
		if section == clientSection {
			return "all commands that ask a broker: " + strings.Join(clientNouns(schema), ", ") + " and the lists; their own sections win"
		}
		for _, cmd := range root.Commands() {
			if cmd.Name() == section {
				return "troupe " + section + ": " + cmd.Short
			}
		}
		return section
	}, func(section, key string) bool {
		if section == settings.Common {
			return false
		}
		return schema.Flag(settings.Common, key) != nil || (slices.Contains(clientNouns(schema), section) && schema.Flag(clientSection, key) != nil)
	})
}

// clientNouns are the sections of commands for which the section of clients speaks too.
func clientNouns(s *settings.Schema) []string {
	return slices.DeleteFunc(s.Sections(), func(section string) bool {
		return section == clientSection || slices.Contains(servers, section) || s.Flag(section, "timeout") == nil
	})
}

func (a *app) configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Check a configuration file", Args: cobra.ExactArgs(1),
		Long: `Check a configuration file: its keys, the types of their values, and whether a broker and a worker would start with them, as far as that can be
known without starting them. The exit code is 2 when something is wrong.`,
		RunE: func(_ *cobra.Command, args []string) error {
			schema, _ := newSchema()
			file, err := settings.Load(args[0], schema)
			if err != nil {
				return usage(err)
			}
			layers := settings.Layers{File: file, Env: settings.NewEnv(nil, schema, ownVariables)}
			for _, noun := range servers {
				if err := checkServer(noun, layers); err != nil {
					return err
				}
			}
			if a.json() {
				return a.printJSON(map[string]any{"file": file.Path, "ok": true, "keys": len(file.Entries)})
			}
			fmt.Fprintf(a.out, "%s is fine: %d keys\n", file.Path, len(file.Entries))
			return nil
		},
	}
}

// checkServer lets a broker or worker look at what it would get.
func checkServer(noun string, layers settings.Layers) error {
	b := newApp(nil, nil, nil)
	root := b.root()
	cmd, _, err := root.Find([]string{noun})
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(nil); err != nil {
		return err
	}
	if b.origins, err = layers.Fill(cmd.Flags(), sectionsOf(cmd)); err != nil {
		return usage(err)
	}
	b.started = true
	if err := b.checks[noun](); err != nil {
		return b.inWordsOfFlags(cmd, usage(err))
	}
	return nil
}

func (a *app) configShowCommand() *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use: "show [COMMAND] [-- FLAGS]", Short: "Show the values that commands would use, and where they come from",
		Long: `Show the values that a command would use, without one those of all commands. Secrets are not shown. Behind -- the command's own flags can be
given, to see what they change.`,
		Example: `  troupe config show --origin
  troupe config show hit list --origin
  troupe config show broker --origin -- --window 8MiB`,
		RunE: func(cmd *cobra.Command, args []string) error {
			words, flags := args, []string(nil)
			if n := cmd.ArgsLenAtDash(); n >= 0 {
				words, flags = args[:n], args[n:]
			}
			shown, err := a.effective(words, flags)
			if err != nil {
				return usage(err)
			}
			return a.printSettings(shown, origin)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			var names []string
			_, root := newSchema()
			each(root, func(c *cobra.Command) {
				words := strings.Fields(pathOf(c))
				if len(words) > len(args) && slices.Equal(words[:len(args)], args) && strings.HasPrefix(words[len(args)], begun) && settled(c) {
					names = append(names, words[len(args)])
				}
			})
			slices.Sort(names)
			return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "show where each value comes from: default, FILE:LINE, a variable, or flag")
	return cmd
}

// setting is one value that a command would use.
type setting struct {
	Command string `json:"command"`
	Key     string `json:"key"`
	Value   any    `json:"value"` // a text, or a list of texts
	Origin  string `json:"origin"`
}

// effective returns the settings of one command, or of all that have some.
func (a *app) effective(words, args []string) ([]setting, error) {
	root := newApp(nil, nil, nil).root()
	if len(words) > 0 {
		cmd, rest, err := root.Find(words)
		if err != nil || len(rest) > 0 || !settled(cmd) || cmd == root {
			return nil, fmt.Errorf("there is no command %q whose settings could be shown: `troupe help` lists the commands", strings.Join(words, " "))
		}
		return a.settingsOf(cmd, args)
	}
	if len(args) > 0 {
		return nil, fmt.Errorf("flags behind -- without a command: name the command whose flags they are")
	}
	var all []setting
	var failed error
	each(root, func(cmd *cobra.Command) {
		if failed != nil || !cmd.Runnable() || !settled(cmd) || cmd.HasSubCommands() && !slices.Contains(servers, cmd.Name()) {
			return
		}
		var some []setting
		some, failed = a.settingsOf(cmd, nil)
		all = append(all, some...)
	})
	return all, failed
}

func (a *app) settingsOf(cmd *cobra.Command, args []string) ([]setting, error) {
	if err := cmd.ParseFlags(args); err != nil {
		return nil, err
	}
	sections := sectionsOf(cmd)
	origins, err := a.layers.Fill(cmd.Flags(), sections)
	if err != nil {
		return nil, err
	}
	var all []setting
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if len(sections(f)) == 0 || (f.Hidden && !f.Changed) {
			return
		}
		s := setting{Command: pathOf(cmd), Key: f.Name, Value: f.Value.String(), Origin: origins[f.Name].String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			s.Value = list.GetSlice()
		}
		if settings.Secret(f.Name) && f.Value.String() != "" {
			s.Value = settings.Mask
		}
		all = append(all, s)
	})
	return all, nil
}

func (a *app) printSettings(all []setting, origin bool) error {
	if a.json() {
		file := ""
		if a.layers.File != nil {
			file = a.layers.File.Path
		}
		return a.printJSON(map[string]any{"file": file, "settings": all})
	}
	rows := make([][]string, len(all))
	for i, s := range all {
		text, _ := s.Value.(string)
		if several, yes := s.Value.([]string); yes {
			text = strings.Join(several, " ")
		}
		rows[i] = []string{s.Command, s.Key, text}
		if origin {
			rows[i] = append(rows[i], s.Origin)
		}
	}
	head := "COMMAND KEY VALUE"
	if origin {
		head += " ORIGIN"
	}
	return a.table(head, rows)
}
