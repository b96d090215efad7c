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
	pythonCommand := &cobra.Command{
		Use: "python", Short: "Print troupe.py: worker and client in one file",
		Long:    "Print troupe.py, worker and client for Python in one file, which needs Python 3 and pyzmq. Its head says how it is used.",
		Example: "  troupe client python --output troupe.py",
		Args:    cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error { return a.printClient("python", python.Client, file) },
	}
	pythonCommand.Flags().StringVar(&file, "output", "", "file to write instead of standard output")
	cmd.AddCommand(pythonCommand)
	return cmd
}

func (a *app) printClient(language, text, file string) error {
	if file != "" {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return fmt.Errorf("troupe.py cannot be written: %w: choose a path of yours with --output", err)
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
