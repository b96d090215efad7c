package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/patterns/pool"
)

// asGuest lets a guest of a pool do something.
func (a *app) asGuest(cmd *cobra.Command, p *poolPlace, name string, do func(context.Context, *pool.Member) error) (err error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), p.wait)
	defer cancel()
	m, err := pool.Dial(ctx, pool.Config{Pool: name, Name: "guest", RunDir: p.runDir, Logger: a.logger})
	if err != nil {
		return poolFailure(err)
	}
	defer func() { err = errors.Join(err, m.Close(context.WithoutCancel(cmd.Context()))) }()
	return poolFailure(do(ctx, m))
}

func (a *app) poolAskCommand() *cobra.Command {
	p := &poolPlace{}
	o := pool.Options{}
	var labels []string
	cmd := &cobra.Command{
		Use: "ask POOL [QUESTION]", Short: "Ask everybody in a pool", Args: cobra.RangeArgs(1, 2), ValidArgsFunction: cobra.NoFileCompletions,
		Long: `Ask everybody in a pool, or one host, members with a label, or any k. Without a QUESTION it is read from standard input. Answers are printed as they come, each line behind the name of its
member; at the end standard error has the ledger in one line, and every member that has not answered with its reason. -o json prints one object: the answers and the ledger.

It ends when every member has its end, and not before, unless --timeout is over: then the exit code is 4. It is 1 where a member has failed or was lost.`,
		Example: `  troupe pool ask crew 'how many?'
  troupe pool ask crew --label disk=ssd < question
  troupe pool ask crew --any 1 ping`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Labels, err = labelsOf(labels); err != nil {
				return err
			}
			var body []byte
			if len(args) == 2 {
				body = []byte(args[1])
			} else if body, err = io.ReadAll(a.in); err != nil {
				return fmt.Errorf("the question cannot be read: %w", err)
			}
			return a.asGuest(cmd, p, args[0], func(ctx context.Context, m *pool.Member) error { return a.poolAsk(ctx, m, body, o) })
		},
	}
	flags := cmd.Flags()
	p.add(flags, time.Minute, "all answers")
	flags.StringVar(&o.Host, "host", "", "the members of one host only, by its name or id")
	flags.StringArrayVar(&labels, "label", nil, "NAME=VALUE: members with this label only; may be repeated")
	flags.IntVar(&o.Any, "any", 0, "so many members at random; 0: all")
	return cmd
}

// poolAnswer is an answer as -o json prints it.
type poolAnswer struct {
	pool.Entry
	Answer string `json:"answer,omitempty"`
}

func (a *app) poolAsk(ctx context.Context, m *pool.Member, body []byte, o pool.Options) error {
	q := m.Ask(ctx, body, o)
	answers := make(map[string]*strings.Builder)
	for one, err := range q.Answers() {
		b := answers[one.ID]
		if b == nil {
			b = &strings.Builder{}
			answers[one.ID] = b
		}
		b.Write(one.Body)
		if one.End && err == nil && !a.json() {
			who := cell(one.HostName) + "/" + cell(one.Member)
			for line := range strings.Lines(b.String()) {
				fmt.Fprintf(a.out, "%s: %s\n", who, cell(strings.TrimSuffix(line, "\n")))
			}
		}
	}
	book, err := q.Ledger()
	if err != nil && !errors.Is(err, pool.ErrEarly) {
		return err
	}
	bad := a.tellLedger(book)
	if a.json() {
		all := []poolAnswer{}
		for _, e := range book.Entries {
			one := poolAnswer{Entry: e}
			if b := answers[e.ID]; b != nil && e.State == "answered" {
				one.Answer = b.String()
			}
			all = append(all, one)
		}
		err = errors.Join(err, a.printJSON(map[string]any{"complete": book.Complete, "members": all}))
	}
	if err == nil && bad > 0 {
		err = &coded{code: exitFailed, err: fmt.Errorf("%d of %d members have not answered", bad, len(book.Entries)), next: "`troupe pool why` shows the verdicts"}
	}
	return err
}

// tellLedger says how many there are in each state, and names who has not answered.
func (a *app) tellLedger(book pool.Ledger) (bad int) {
	var counts []string
	for _, state := range []string{"answered", "failed", "lost", "left", "late", "waiting"} {
		n := book.Count(state)
		if n > 0 || state == "answered" {
			counts = append(counts, fmt.Sprintf("%d %s", n, state))
		}
		if state == "failed" || state == "lost" {
			bad += n
		}
	}
	if a.json() {
		return bad
	}
	for _, e := range book.Entries {
		if e.State != "answered" {
			fmt.Fprintf(a.err, "%s/%s (process %d): %s\n", cell(e.HostName), cell(e.Name), e.PID, cell(strings.TrimSpace(strings.Join([]string{e.State, e.Verdict, e.Why}, " "))))
		}
	}
	fmt.Fprintln(a.err, "ledger: "+strings.Join(counts, ", "))
	return bad
}
