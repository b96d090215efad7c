package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
)

// Config says what the demo does.
type Config struct {
	Clients      int    // at least 16: then one of two workers has 8 open transactions, however the hits are spread
	Transactions int    // per client and round
	Seed         uint64 // of the generated data
	Python       string // the interpreter of the Python worker
	Keep         bool   // leaves the database file
	Out          io.Writer
	Log          io.Writer // what -v shows; io.Discard: nothing
}

// Validate names the first field that cannot be used.
func (c *Config) Validate() error {
	switch {
	case c.Clients < 2*claimedOverlap:
		return fmt.Errorf("-clients is %d: use at least %d, so that %d transactions are open in one worker process", c.Clients, 2*claimedOverlap, claimedOverlap)
	case c.Transactions < 1:
		return fmt.Errorf("-transactions is %d: use at least 1", c.Transactions)
	}
	return nil
}

func (c *Config) logger() *slog.Logger {
	if c.Log == io.Discard {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(c.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// sources finds this example's folder, which holds the workers' sources.
func sources() (string, error) {
	for _, dir := range []string{"examples/sqlite", "."} {
		if _, err := os.Stat(filepath.Join(dir, "worker.py")); err == nil {
			return filepath.Abs(dir)
		}
	}
	return "", errors.New("examples/sqlite/worker.py is not here: run the demo in the repository's folder, as `make demo` does")
}
