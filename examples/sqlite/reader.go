package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/troupe-mq/troupe/supervision/process"
)

// compare reads the database file with a program that knows neither the workers nor the clients, and compares it with the clients' ledgers.
func (h *house) compare(ctx context.Context, want []string) (*Tables, error) {
	read := exec.CommandContext(ctx, h.cfg.Python, filepath.Join(h.dir, "audit.py"), h.database)
	var said process.Tail
	read.Stderr = &said
	out, err := read.Output()
	if err != nil {
		return nil, fmt.Errorf("the database file cannot be read: %w: %s", err, said.String())
	}
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	return &Tables{Rows: len(got), LedgerSHA256: sum(want), DatabaseSHA256: sum(got), Difference: difference(want, got)}, nil
}

func sum(lines []string) string {
	digest := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(digest[:])
}

// difference names the first line that only one of two sorted lists has.
func difference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		switch {
		case i == len(want) || i < len(got) && got[i] < want[i]:
			return "only the database has " + got[i]
		case i == len(got) || want[i] < got[i]:
			return "only the ledgers have " + want[i]
		}
	}
	return ""
}
