// Command fleet searches the sources and documents of Go with a fleet of processes: each keeps two shards of the text in memory, and any of them asks all. The members live on
// three hosts (network namespaces with a cable between them where this is root, else three run directories), each with a master of its own. Then one member is killed, one is
// frozen, and a master is stopped, all in the middle of a question. Every total is compared with that of a single process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

// options are those of the fleet, which each member is told, too.
type options struct {
	root      string
	most      int
	text      string
	loopback  bool
	perHost   int
	member    int    // the number of this one, -1: none, but the one that asks
	directory string // of the member's host
	listen    string
	peers     string
	keys      string
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.StringVar(&o.root, "root", goTree(), "folder with the texts")
	flags.IntVar(&o.most, "files", 0, "search only so many files; 0: all")
	flags.StringVar(&o.text, "text", "context.Context", "what is searched for")
	flags.BoolVar(&o.loopback, "loopback", false, "no network namespaces, though this is root")
	flags.IntVar(&o.perHost, "per-host", 4, "members on each of the three hosts")
	flags.IntVar(&o.member, "member", -1, "be this member")
	flags.StringVar(&o.directory, "run-dir", "", "of the member's host")
	flags.StringVar(&o.listen, "listen", "", "of the member's host, as HOST:PORT")
	flags.StringVar(&o.peers, "peers", "", "masters of other hosts, parted by commas")
	flags.StringVar(&o.keys, "keys", "", "folder with keys")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case o.perHost < 3:
		return errors.New("-per-host must be at least 3: fewer never kill a master that hangs")
	case o.text == "" || strings.Contains(o.text, "\n"):
		return errors.New("-text is what stands in a line, and not empty")
	case o.member >= 0:
		return o.join(ctx)
	}
	return o.command(ctx, out)
}

// goTree is where this machine's Go has its sources and documents.
func goTree() string {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "."
	}
	return filepath.Clean(strings.TrimSpace(string(root)))
}
