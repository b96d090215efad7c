// Command patterns has a counterpart of each program that introductions to ZeroMQ begin with, on the packages under patterns/: no lockstep, no slow joiner, no Enter before a
// batch, nothing lost without a word, and Ctrl-C works everywhere. Plain pyzmq programs that talk to each of them are in the folder python.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// program is one of them. It prints on out, and ends with the context.
type program struct {
	args string // what they are
	says string
	run  func(ctx context.Context, out io.Writer, args []string) error
}

var programs = map[string]program{
	"hello-server":    {"ENDPOINT", "answers each request with what it brings (REP)", helloServer},
	"hello-client":    {"ENDPOINT [REQUESTS]", "asks, and prints the answers (REQ)", helloClient},
	"threads-server":  {"ENDPOINT", "answers with World, five requests at a time, a second each (ROUTER, DEALER, five threads with REP)", threadsServer},
	"threads-client":  {"ENDPOINT REQUESTS", "asks that many at the same time", threadsClient},
	"weather-server":  {"ENDPOINT", "publishes the weather of random ZIP codes (PUB)", weatherServer},
	"weather-client":  {"ENDPOINT [ZIP]", "averages five reports from a place (SUB)", weatherClient},
	"feed":            {"ENDPOINT SYMBOL", "publishes prices of a symbol", feed},
	"feed-forwarder":  {"BIND ENDPOINT...", "merges feeds onto one endpoint (SUB, PUB)", feedForwarder},
	"feed-client":     {"ENDPOINT SYMBOL...", "prints five prices of each", feedClient},
	"numbers-server":  {"ENDPOINT", "publishes 1, 2, 3 ... as fast as it can", numbersServer},
	"numbers-client":  {"ENDPOINT [UPDATES]", "tells which numbers it has missed, and sees that it is right", numbersClient},
	"ventilator":      {"ENDPOINT TASKS", "gives out tasks of 1 to 20 ms, and then kills its workers", ventilator},
	"pipeline-worker": {"VENTILATOR", "does tasks until it is killed (PULL, PUSH, and SUB for the kill signal)", pipelineWorker},
	"sink":            {"VENTILATOR BIND", "collects a batch and tells what is missing", sink},
	"poll":            {"FEED WEATHER", "waits for two sources at once, up to 5 s, and takes what is there without waiting", poll},
	"steps":           {"URL [parent|child]", "a parent and its child (PAIR): in one process where no role is given", steps},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "patterns:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, out io.Writer, args []string) error {
	if len(args) == 0 {
		return errors.New("which program?\n" + usage())
	}
	p, ok := programs[args[0]]
	if !ok {
		return fmt.Errorf("there is no program %q:\n%s", args[0], usage())
	}
	words := strings.Fields(p.args)
	least := len(words) - strings.Count(p.args, "[")
	most := len(words)
	if strings.HasSuffix(p.args, "...") {
		most = 1 << 10
	}
	if n := len(args) - 1; n < least || n > most {
		return fmt.Errorf("%s %s: %d arguments were given", args[0], p.args, n)
	}
	err := p.run(ctx, out, args[1:])
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		fmt.Fprintln(out, "interrupted")
		return nil
	}
	return err
}

func usage() string {
	var lines []string
	for name, p := range programs {
		lines = append(lines, fmt.Sprintf("  %-16s %-22s %s", name, p.args, p.says))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
