package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// What the demo tells its reader. With -o json the writer discards it.

func (d *demo) say(format string, args ...any) { say(d.cfg.Out, format, args...) }

// logger returns what notes every statement where -v asks for it.
func (d *demo) logger() func(format string, args ...any) {
	if d.cfg.Log == io.Discard {
		return func(string, ...any) {}
	}
	log := d.cfg.logger()
	return func(format string, args ...any) { log.Debug(fmt.Sprintf(format, args...)) }
}

func (d *demo) tellStart() {
	d.say("Database sessions over the network: %d clients, a worker in Python and one in Go, one SQLite file.\n", d.cfg.Clients)
	d.say("Building the Go worker. The first time takes a minute or two, since SQLite is compiled.")
}

func (d *demo) tellHouse() {
	d.say("broker     for clients at %s, for workers at %s", d.house.broker.ClientEndpoints()[0], d.house.broker.WorkerEndpoints()[0])
	for _, p := range d.house.all() {
		d.say("worker     process %-7d %-6s  %d slots, a thread each", p.PID(), p.lang, d.house.slots())
	}
	d.say("database   %s: %d accounts with %d cents in all, generated from seed %d and written through a hit", d.house.database, len(d.bank.accounts), d.bank.total, d.cfg.Seed)
}

func (d *demo) tellRound(number int) {
	after := "after that worker was replaced"
	if number == 1 {
		after = "in whose middle a worker is killed"
	}
	d.say("\nRound %d, %s: each client opens a hit and runs %d transactions in it, all at the same time.", number, after, d.cfg.Transactions)
}

func (d *demo) tellOverlap() {
	last := d.report.Overlaps[len(d.report.Overlaps)-1]
	d.say("  Now every client is inside a transaction that has read:")
	for _, pid := range slices.Sorted(maps.Keys(last.ByProcess)) {
		d.say("    process %-7d %-6s  %d transactions are open, on %[3]d threads", pid, d.house.lang(pid), last.ByProcess[pid])
	}
}

func (d *demo) tellStrike(c *crash) {
	if c.committer != nil {
		d.say("  Client %d sends COMMIT to process %d. While it is on its way, kill -9 %d.", c.committer.no, c.victim.PID(), c.victim.PID())
	}
}

func (d *demo) tellCrash() {
	c := d.report.Crash
	d.say("\n  Of the hits that were open at that moment, the %d at process %d failed, the %d others went on untouched:", c.Failed, c.Process, c.Untouched)
	for _, how := range slices.Sorted(maps.Keys(c.Outcomes)) {
		d.say("    %2d x %s", c.Outcomes[how], how)
	}
	d.say("  What the client of that COMMIT was told:\n    %s", c.Told)
	if len(c.Why) > 0 {
		d.say("    why: %s", c.Why)
	}
	next := "so it was done again, under the same id."
	if c.Resolution == "committed" {
		next = "so it was not done again."
	}
	d.say("  Transfer %s was in doubt. Looked up at the other worker: %s, %s", c.Transfer, c.Resolution, next)
	d.say("  All failed transactions were tried again in new hits. Process %d takes the place of process %d.", c.Replacement, c.Process)
}

// tellHits prints a line per hit.
func (d *demo) tellHits(rows []HitRow) {
	table := tabwriter.NewWriter(d.cfg.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  hit\tservice\tworker\tlanguage\tprocess\tthread\tcalls\tcommits\trollbacks\tbusy\tsame thread\tend")
	for _, h := range rows {
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d/%d\t%s\n", h.Hit, h.Service, h.Worker, h.Lang, h.PID, h.Thread, h.Calls, h.Commits, h.Rollbacks,
			h.Busy, h.Same, h.Replies, strings.TrimSpace(h.End+" "+h.Outcome))
	}
	_ = table.Flush() // the demo's output; nobody could be told
}

func (d *demo) tellEnd() {
	r, t := d.report, d.report.Totals
	d.say("\nAt the end")
	d.say("  transactions  %d: %d transfers and %d audits committed, %d rolled back by choice, %d because the database refused an overdraft;", t.Meant, t.Transfers, t.Audits, t.Regrets, t.Overdrawn)
	d.say("                %d tries gave way to another transaction and were repeated", t.Repeats)
	d.say("  threads       %d calls in %d hits; same thread: %d/%d replies", t.Calls, t.Hits, t.Same, t.Replies)
	for _, w := range r.Workers {
		d.say("  worker        process %-7d %-6s  %d hits, at most %d transactions open at the same moment%s", w.Process, w.Lang, w.Hits, w.MaxOpen, map[bool]string{true: ", killed"}[w.Killed])
	}
	d.say("  tables        %d rows, read from the file by Python without any worker\n                database %.32s\n                ledgers  %.32s (SHA-256)", r.Tables.Rows,
		r.Tables.DatabaseSHA256, r.Tables.LedgerSHA256)
	for _, broken := range r.Broken {
		d.say("  BROKEN        %s", broken)
	}
	if len(r.Broken) == 0 {
		d.say("Every claim holds. It took %.1f s.", float64(r.ElapsedMS)/1000)
	}
}
