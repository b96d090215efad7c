package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/cmd/troupe/internal/settings"
)

// app is one run of the program: its streams, and the flags that all commands share.
type app struct {
	in       io.Reader
	out, err io.Writer // data, talk
	format   choice
	level    choice
	logs     choice
	logger   *slog.Logger
	started  bool // the command line was understood
	config   string
	layers   settings.Layers
	origins  map[string]settings.Origin // where the values of the command's flags come from
	checks   map[string]func() error    // by command: looks at its configuration as a whole
}

func newApp(in io.Reader, out, err io.Writer) *app {
	return &app{
		in: in, out: out, err: err, logger: slog.New(slog.DiscardHandler), checks: make(map[string]func() error),
		format: oneOf("table", "json"), level: oneOf("info", "debug", "warn", "error"), logs: oneOf("text", "json"),
	}
}

// run carries out a command line and returns the exit code. An error is told on err.
func run(args []string, in io.Reader, out, err io.Writer) int {
	a := newApp(in, out, err)
	root := a.root()
	root.SetArgs(args)
	cmd, failed := root.ExecuteC()
	if failed != nil && !a.started {
		failed = misunderstood(failed)
		if asksForJSON(args) {
			_ = a.format.Set("json") // it is possible
		}
	}
	if failed != nil {
		failed = a.inWordsOfFlags(cmd, failed)
		a.complain(failed)
	}
	return exitCode(failed)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "troupe",
		Short: "One hit, one thread: sessions with a thread of their own, over ZeroMQ",
		Long: `troupe gives every client session (a hit) one thread of one worker, from its first call to its last.

A broker stands between clients and workers. Start one, then a worker, then make a call:

  troupe broker &
  troupe worker &
  troupe call upper hello

Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 not reachable, 4 not in time or not complete.`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			a.started = true
			return a.settle(cmd)
		},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	flags := root.PersistentFlags()
	flags.VarP(&a.format, "format", "o", "form of the data on standard output: table or json")
	flags.Var(&a.level, "log-level", "what is logged on standard error: debug, info, warn or error")
	flags.Var(&a.logs, "log-format", "form of the log: text or json")
	flags.StringVar(&a.config, "config", "", "configuration file (default $"+settings.ConfigVar+", ./troupe.yaml, or those that troupe help config lists)")
	root.AddCommand(a.brokerCommand(), a.workerCommand(), a.superviseCommand(), a.callCommand(), a.taskCommand(), a.queueCommand(), a.hitCommand(), a.statusCommand(), a.topCommand(), a.eventsCommand(), a.whyCommand(), a.treeCommand(), a.drainCommand(),
		a.benchCommand(), a.httpCommand(), a.poolCommand(), a.clientCommand(), a.keysCommand(), a.doctorCommand(), a.configCommand(), a.versionCommand())
	return root
}

// misunderstood is the error of a command line that could not be read.
func misunderstood(err error) error {
	text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n\nDid you mean this?\n\t", ": did you mean ")
	return usage(fmt.Errorf("%s: `troupe help` lists the commands, --help behind a command its flags", strings.ReplaceAll(text, "\n\t", ", ")))
}

// asksForJSON looks for -o json in arguments that could not be read to their end.
func asksForJSON(args []string) bool {
	all := " " + strings.Join(args, " ") + " "
	for _, form := range []string{" -o json ", " -ojson ", " -o=json ", " --format json ", " --format=json "} {
		if strings.Contains(all, form) {
			return true
		}
	}
	return false
}

func (a *app) json() bool { return a.format.String() == "json" }
