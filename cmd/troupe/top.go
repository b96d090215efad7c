package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/cmd/troupe/internal/top"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

func (a *app) topCommand() *cobra.Command {
	t := &target{one: true}
	w := &watcher{app: a}
	var once bool
	cmd := &cobra.Command{
		Use: "top", Short: "Watch a broker: services, workers, rates and events", Args: cobra.NoArgs,
		Long: `Watch a broker on the terminal: its services with what waits for them, its workers with their rates, and what has just happened. Keys: s changes the order of the workers, / filters them, arrows select one, w
shows why it was given up or is stuck, d drains it, q quits. The broker is asked once per --interval and never more; where it is not reached, what was known last stays.

--once prints one screen and ends, after an interval that rates are taken over. With -o json each interval is a line of JSON with status, workers and events, until Ctrl-C or, with --once, the first.`,
		Example: "  troupe top\n  troupe top --once | head -20\n  troupe top -o json --interval 5s | jq -c '.status.services'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if w.pace < 100*time.Millisecond {
				return usage(fmt.Errorf("--interval is %v: at least 100ms are possible", w.pace))
			}
			return a.ask(cmd, t, func(ctx context.Context, c *assigner.Client) error {
				w.client, w.limit = c, t.timeout
				switch {
				case a.json():
					return w.lines(ctx, once)
				case once:
					return w.once(ctx)
				}
				return w.screen(ctx)
			})
		},
	}
	t.add(cmd.Flags(), 10*time.Second, "each answer")
	cmd.Flags().BoolVar(&once, "once", false, "show it once and end")
	cmd.Flags().DurationVar(&w.pace, "interval", time.Second, "how often the broker is asked")
	return cmd
}

// watcher asks a broker again and again.
type watcher struct {
	app    *app
	client *assigner.Client
	limit  time.Duration
	pace   time.Duration
	events follower
}

// look asks for all that a screen shows.
func (w *watcher) look(ctx context.Context) top.Snapshot {
	ctx, cancel := context.WithTimeout(ctx, w.limit)
	defer cancel()
	s := top.Snapshot{At: time.Now(), Events: []machine.Event{}}
	var page workerPage
	err := administer(ctx, w.client, machine.AdminRequest{Cmd: "status"}, &s.Status)
	if err == nil {
		err = administer(ctx, w.client, machine.AdminRequest{Cmd: "worker.list"}, &page)
	}
	for more := err == nil; more; {
		var p eventPage
		p, _, err = w.events.page(ctx, w.client)
		s.Events, more = append(s.Events, p.Events...), p.More && err == nil
	}
	s.Workers = page.Workers
	if err != nil {
		s.Error = err.Error()
	}
	return s
}

// pause waits for the next look, and reports whether there is one.
func (w *watcher) pause(ctx context.Context) bool {
	select {
	case <-time.After(w.pace):
		return true
	case <-ctx.Done():
		return false
	}
}

// lines writes a line of JSON per look.
func (w *watcher) lines(ctx context.Context, once bool) error {
	for {
		s := w.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case s.Error != "" && once:
			return errors.New(s.Error)
		}
		if err := w.app.printJSON(s); err != nil || once || !w.pause(ctx) {
			return err
		}
	}
}

// once prints one screen with all that there is.
func (w *watcher) once(ctx context.Context) error {
	m := &top.Model{Plain: true}
	m.Take(w.look(ctx))
	if !w.pause(ctx) {
		return nil
	}
	s := w.look(ctx)
	if s.Error != "" {
		return errors.New(s.Error)
	}
	m.Take(s)
	_, err := fmt.Fprintln(w.app.out, strings.Join(m.All(), "\n"))
	return err
}

// screen shows it on the terminal until a key ends it.
func (w *watcher) screen(ctx context.Context) error {
	in, isFile := w.app.in.(*os.File)
	out, isOut := w.app.out.(*os.File)
	if !isFile || !isOut || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return usage(errors.New("troupe top needs a terminal, and standard input or output is none: use --once, or -o json for programs"))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, err := tea.NewProgram(&topScreen{watcher: w, ctx: ctx}, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler()).Run()
	if ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	return err
}

// topScreen joins the model of the screen with bubbletea. All but what its commands return happens on bubbletea's goroutine.
type topScreen struct {
	*watcher
	ctx   context.Context //nolint:containedctx // a bubbletea model lives as long as its program
	model top.Model
}

// What commands bring back.
type (
	looked  top.Snapshot
	ticked  struct{}
	said    string // for the foot
	records string // for the whole screen
)

// Init is bubbletea's.
func (s *topScreen) Init() tea.Cmd { return s.again }

func (s *topScreen) again() tea.Msg { return looked(s.look(s.ctx)) }

// Update is bubbletea's.
func (s *topScreen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		s.model.Width, s.model.Height = m.Width, m.Height
	case tea.KeyPressMsg:
		return s, s.do(s.model.Key(m.String()))
	case looked:
		s.model.Take(top.Snapshot(m))
		return s, tea.Tick(s.pace, func(time.Time) tea.Msg { return ticked{} })
	case ticked:
		return s, s.again
	case said:
		s.model.Note(string(m))
	case records:
		s.model.Read(string(m))
	}
	return s, nil
}

// View is bubbletea's.
func (s *topScreen) View() tea.View {
	v := tea.NewView(strings.Join(s.model.View(), "\n"))
	v.AltScreen = true
	return v
}

// do does what a key asks for, beside the screen.
func (s *topScreen) do(ask top.Ask) tea.Cmd {
	switch {
	case ask.Quit:
		return tea.Quit
	case ask.Drain != "":
		return func() tea.Msg { return s.drain(ask.Drain) }
	case ask.Why != "":
		return func() tea.Msg { return s.why(ask.Why) }
	}
	return nil
}

func (s *topScreen) drain(worker string) tea.Msg {
	ctx, cancel := context.WithTimeout(s.ctx, s.limit)
	defer cancel()
	var r machine.DrainReport
	if err := administer(ctx, s.client, machine.AdminRequest{Cmd: "drain", About: worker}, &r); err != nil {
		return said(err.Error())
	}
	return said(fmt.Sprintf("%s takes no new hits, %s open", worker, are(r.Hits)))
}

func (s *topScreen) why(worker string) tea.Msg {
	ctx, cancel := context.WithTimeout(s.ctx, s.limit)
	defer cancel()
	var r machine.WhyReport
	if err := administer(ctx, s.client, machine.AdminRequest{Cmd: "why", About: worker, Limit: 20}, &r); err != nil {
		return said(err.Error())
	}
	if len(r.Records) == 0 {
		return said("no verdict about " + worker + " is kept")
	}
	var text strings.Builder
	writeWhys(&text, r)
	return records(text.String())
}

// writeWhys writes records for people, the latest first.
func writeWhys(w io.Writer, r machine.WhyReport) {
	for _, y := range r.Records {
		for i, line := range strings.Split(y.Text(), "\n") {
			if i == 0 {
				line += "  (" + age(max(r.NowMS-y.AtMS, 0)) + " ago)"
			}
			fmt.Fprintln(w, cell(line))
		}
	}
}
