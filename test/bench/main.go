// Command bench measures Troupe against its peers, in turn and over several rounds, and rewrites bench.json.
//
//	go run ./test/bench [-rounds 7] [-quick] [-only NAME] [-out bench.json] [-broker "COMMAND LINE"]
//
// It prints a table with the reach of every figure and ok, MISS or FAIL. A peer that is absent is a failed figure. The
// exit status is 1 when a figure failed or missed its reach. Machines drift: figures are compared within a round, and
// what counts is the median of the rounds' ratios.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// quickBudget is the time after which -quick begins no further round.
const quickBudget = 40 * time.Second

// pace says how long and how often is measured.
type pace struct {
	rounds    int
	warm, run time.Duration
	budget    time.Duration // 0: none
}

func main() {
	// Children die with the thread that started them (Pdeathsig), so that thread has to be one that stays.
	runtime.LockOSThread()
	rounds := flag.Int("rounds", 7, "number of rounds")
	quick := flag.Bool("quick", false, "3 short rounds, under 50 s in all")
	only := flag.String("only", "", "measure only figures whose name contains this")
	broker := flag.String("broker", "", "command line of the broker to measure instead of this tree's")
	out := flag.String("out", "bench.json", "file to rewrite")
	flag.Parse()
	p := pace{rounds: *rounds, warm: 300 * time.Millisecond, run: 2 * time.Second}
	if *quick {
		p = pace{rounds: 3, warm: 100 * time.Millisecond, run: 400 * time.Millisecond, budget: quickBudget}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	good, err := run(ctx, p, *only, *out, *broker)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}

// run measures and reports. It returns whether every figure was measured and within its reach.
func run(ctx context.Context, p pace, only, out, broker string) (bool, error) {
	start := time.Now()
	wanted := choose(only)
	if len(wanted) == 0 {
		return false, fmt.Errorf("no figure has %q in its name; there are: %s", only, strings.Join(names(rows), ", "))
	}
	if err := os.Remove(out); err != nil && !os.IsNotExist(err) {
		return false, err
	}
	h, err := newHouse(p)
	if err != nil {
		return false, err
	}
	defer h.close()
	h.broker = broker
	h.build(ctx)
	done, err := h.measure(ctx, wanted, start)
	if err != nil {
		return false, err
	}
	figures := make([]figure, len(wanted))
	good := true
	for i, r := range wanted {
		figures[i] = r.judge(done)
		good = good && figures[i].verdict == ok
	}
	printTable(os.Stdout, figures)
	fmt.Printf("%d rounds in %.0f s on %d processors\n", done.rounds, time.Since(start).Seconds(), runtime.NumCPU())
	return good, writeJSON(out, figures)
}
