package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/patterns/butterfly"
)

// pumpFlags are those of http pump.
type pumpFlags struct {
	httpFlags
	path     string
	inFlight int
}

func (a *app) httpPumpCommand() *cobra.Command {
	f := &pumpFlags{httpFlags: httpFlags{access: oneOf("off"), maxBody: 8 << 20, maxStream: 1 << 30, maxHeader: 64 << 10}}
	f.cfg.ReadTimeout, f.cfg.IdleTimeout, f.cfg.Drain, f.cfg.MaxRequests = time.Second, time.Second, time.Second, 4096
	cmd := &cobra.Command{
		Use: "pump [FILE...]", Short: "Lead files of requests through the stages, without HTTP",
		Long: `Lead requests from files, or from standard input, through the stages: one per line, a target as /is_prime?possible_prime=7, or with --path the body of a POST request to that path. Many are
under way at once, answers come in order, each with the line break it was asked for by. A request that fails is a problem in place of an answer, is counted on standard error, and makes the exit code 1.`,
		Example: `  seq 1000 | sed 's|^|/is_prime?possible_prime=|' | troupe http pump --route '/is_prime = parse > compute > format'
  troupe http pump --route 'POST /shout = upper > frame' --path /shout words.txt > answers.txt`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.pump(cmd, f, args) },
	}
	flags := cmd.Flags()
	f.target.add(flags, 30*time.Second, "a request (less than nothing: for ever)")
	f.addStages(flags)
	flags.StringVar(&f.path, "path", "", "lines are bodies of POST requests to this path")
	flags.IntVar(&f.inFlight, "in-flight", 64, "requests that are under way at once")
	return cmd
}

func (a *app) pump(cmd *cobra.Command, f *pumpFlags, files []string) error {
	cfg, err := f.config(a)
	switch {
	case err != nil:
		return usage(err)
	case f.inFlight < 1 || f.inFlight > 4096:
		return usage(fmt.Errorf("--in-flight is %d: from 1 to 4096 are possible", f.inFlight))
	case f.path != "" && f.path[0] != '/':
		return usage(fmt.Errorf("--path is %q: it begins with a /", f.path))
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	front, err := butterfly.New(ctx, cfg)
	if err != nil {
		return usage(err)
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
		defer cancel()
		_ = front.Close(end)
	}()
	p := &pump{app: a, front: front, path: f.path, answers: make(chan chan pumped, f.inFlight)}
	written := make(chan error, 1)
	go func() { written <- p.write() }()
	err = p.readAll(ctx, files)
	close(p.answers)
	err = errors.Join(err, <-written)
	switch {
	case err != nil:
		return err
	case p.failed > 0:
		return fmt.Errorf("%d of %d requests have failed", p.failed, p.done)
	case ctx.Err() != nil:
		return incomplete(fmt.Errorf("interrupted after %d requests", p.done))
	}
	return nil
}

// pump leads requests through a front.
type pump struct {
	app          *app
	front        *butterfly.Front
	path         string
	answers      chan chan pumped // in order
	done, failed int
}

type pumped struct {
	line   string
	status int
	body   []byte
	err    error
}

func (p *pump) readAll(ctx context.Context, files []string) error {
	if len(files) == 0 {
		return p.read(ctx, p.app.in)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		err = p.read(ctx, file)
		if err = errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (p *pump) read(ctx context.Context, from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() && ctx.Err() == nil {
		line, a := lines.Text(), make(chan pumped, 1)
		if p.path == "" && !strings.HasPrefix(line, "/") {
			return usage(fmt.Errorf("the line %.100q is no target: it begins with a /; lines that are bodies need --path", line))
		}
		p.answers <- a // waits while so many are under way
		go func() { a <- p.ask(ctx, line) }()
	}
	return lines.Err()
}

func (p *pump) ask(ctx context.Context, line string) pumped {
	method, target, body := http.MethodGet, line, []byte(nil)
	if p.path != "" {
		method, target, body = http.MethodPost, p.path, []byte(line)
	}
	got, err := p.front.Do(ctx, method, target, nil, body)
	if err != nil {
		return pumped{line: line, err: err}
	}
	answer, err := io.ReadAll(got.Body)
	return pumped{line, got.StatusCode, answer, errors.Join(err, got.Body.Close())}
}

// write writes the answers in order.
func (p *pump) write() (err error) {
	out := bufio.NewWriter(p.app.out)
	for a := range p.answers {
		got := <-a
		if p.done++; got.err != nil || got.status >= http.StatusBadRequest {
			p.failed++
		}
		if err == nil {
			err = p.print(out, got)
		}
		if len(p.answers) == 0 && err == nil {
			err = out.Flush()
		}
	}
	return errors.Join(err, out.Flush())
}

func (p *pump) print(out *bufio.Writer, got pumped) error {
	if p.app.json() {
		row := map[string]any{"request": got.line, "status": got.status, "body": string(got.body)}
		if got.err != nil {
			row["error"] = got.err.Error()
		}
		return printJSONTo(out, row)
	}
	if got.err != nil {
		fmt.Fprintln(p.app.err, got.line+": "+got.err.Error())
	}
	_, err := out.Write(append(got.body, '\n'))
	return err
}
