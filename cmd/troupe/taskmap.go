package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/troupe-mq/troupe/patterns/tasks"
)

func (a *app) taskMapCommand() *cobra.Command {
	f := &specFlags{}
	var asTheyCome bool
	cmd := &cobra.Command{
		Use:   "map SERVICE",
		Short: "Submit one task for each line of standard input",
		Long: `Submit one task for each line of standard input and print their answers, one line each, in the order of the lines; with --as-they-come each as soon as it is there,
behind its line's number. A task that fails is told on standard error, and makes the exit code 4. With --id ID the tasks get the ids ID/0, ID/1, and so on.`,
		Example: `  ls *.txt | troupe task map wordcount --retries 3
  seq 1000 | troupe task map square --as-they-come -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args[0]); err != nil {
				return usage(err)
			}
			if f.inFlight < 1 {
				return usage(fmt.Errorf("--in-flight is %d: it starts at 1", f.inFlight))
			}
			lines, err := readLines(a.in)
			if err != nil {
				return err
			}
			return a.submitting(cmd, f, func(ctx context.Context, c *tasks.Client) error {
				b := c.Map(ctx, f.spec, func(yield func([]byte) bool) {
					for _, l := range lines {
						if !yield(l) {
							return
						}
					}
				})
				return a.printResults(ctx, b, asTheyCome)
			})
		},
	}
	f.addOne(cmd.Flags())
	cmd.Flags().IntVar(&f.inFlight, "in-flight", 1000, "tasks that may be at the broker at the same time")
	cmd.Flags().BoolVar(&asTheyCome, "as-they-come", false, "print each answer as soon as it is there, behind the number of its line")
	cmd.ValidArgsFunction = a.completeFrom(&f.target, serviceNames)
	return cmd
}

func readLines(r io.Reader) ([][]byte, error) {
	var lines [][]byte
	in := bufio.NewReader(r)
	for {
		l, err := in.ReadBytes('\n')
		if len(l) > 0 {
			lines = append(lines, bytes.TrimSuffix(bytes.TrimSuffix(l, []byte("\n")), []byte("\r")))
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return lines, nil
			}
			return nil, fmt.Errorf("standard input cannot be read: %w", err)
		}
	}
}

// result is an answer of a map as -o json prints it.
type result struct {
	Line  int      `json:"line"`
	Reply *reply   `json:"reply,omitempty"`
	Error *failure `json:"failed,omitempty"`
}

func (a *app) printResults(ctx context.Context, b *tasks.Batch, asTheyCome bool) error {
	results, failed, over := b.InOrder(ctx), 0, 0
	if asTheyCome {
		results = b.AsTheyCome(ctx)
	}
	bar := a.bar()
	defer bar("")
	for r := range results {
		if ctx.Err() != nil && r.Err != nil {
			b.Cancel()
			return ctx.Err()
		}
		if over++; over%max(len(b.Handles())/100, 1) == 0 {
			done, all := b.Progress()
			bar(fmt.Sprintf("%d of %d done, %d failed", done, all, failed))
		}
		if r.Err != nil {
			failed++
		}
		if err := a.printMapped(r, asTheyCome); err != nil {
			return err
		}
	}
	if failed > 0 {
		return incomplete(fmt.Errorf("%d of %d tasks failed: their errors are above; --retries runs failed ones again", failed, len(b.Handles())))
	}
	return nil
}

func (a *app) printMapped(r tasks.Result, numbered bool) error {
	line := r.Index + 1
	if a.json() {
		x := result{Line: line}
		if r.Err != nil {
			f := newFailure(r.Err)
			x.Error = &f
		} else {
			y := newReply("", [][]byte{r.Reply}, 0)
			x.Reply = &y
		}
		return a.printJSON(x)
	}
	if r.Err != nil {
		fmt.Fprintf(a.err, "line %d: %v\n", line, r.Err)
		if numbered {
			return nil
		}
		r.Reply = nil // its line stays empty, so that the others are where they belong
	}
	text := append(bytes.ReplaceAll(r.Reply, []byte("\n"), []byte(`\n`)), '\n')
	if numbered {
		text = append(fmt.Appendf(nil, "%d\t", line), text...)
	}
	_, err := a.out.Write(text)
	return err
}

// bar returns what shows a line of progress in place on a terminal, and nothing elsewhere; an empty one takes it away.
func (a *app) bar() func(string) {
	f, ok := a.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func(string) {}
	}
	return func(text string) { fmt.Fprintf(f, "\r\x1b[K%s", text) }
}
