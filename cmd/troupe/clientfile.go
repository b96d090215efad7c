package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/examples/python"
)

func (a *app) clientCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "client", Short: "Print workers and clients for other languages", Args: cobra.NoArgs, RunE: needsCommand}
	var file string
	var withTasks bool
	pythonCommand := &cobra.Command{
		Use: "python", Short: "Print troupe.py: worker and client in one file",
		Long:    "Print troupe.py, worker and client for Python in one file, which needs Python 3 and pyzmq. Its head says how it is used.",
		Example: "  troupe client python --output troupe.py",
		Args:    cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error { return a.printPython(withTasks, file) },
	}
	pythonCommand.Flags().StringVar(&file, "output", "", "file to write instead of standard output")
	pythonCommand.Flags().BoolVar(&withTasks, "tasks", false, "print troupe_tasks.py instead, which goes beside it: tasks, and functions as tasks")
	cmd.AddCommand(pythonCommand)
	return cmd
}

func (a *app) printPython(withTasks bool, file string) error {
	if withTasks {
		return a.printClient("python", python.Tasks, file)
	}
	return a.printClient("python", python.Client, file)
}

func (a *app) printClient(language, text, file string) error {
	if file != "" {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return fmt.Errorf("the file cannot be written: %w: choose a path of yours with --output", err)
		}
		if a.json() {
			return a.printJSON(map[string]any{"language": language, "file": file, "bytes": len(text)})
		}
		fmt.Fprintf(a.err, "wrote %s, %d bytes\n", file, len(text))
		return nil
	}
	if a.json() {
		return a.printJSON(map[string]any{"language": language, "text": text})
	}
	_, err := io.WriteString(a.out, text)
	return err
}
