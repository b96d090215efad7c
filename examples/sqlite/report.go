package main

import "encoding/json"

// claimedOverlap is how many transactions are open at the same moment in one worker process, at least.
const claimedOverlap = 8

// Report is what the demo has seen. With -o json it is printed.
type Report struct {
	Clients   int         `json:"clients"`
	Seed      uint64      `json:"seed"`
	Workers   []WorkerRow `json:"workers"`
	Overlaps  []Overlap   `json:"overlaps"` // one per round
	Hits      []HitRow    `json:"hits"`
	Crash     *Crash      `json:"crash"`
	Totals    Totals      `json:"totals"`
	Blobs     []BlobRow   `json:"blobs"`
	NotApart  string      `json:"not_between_hosts,omitempty"` // why no blob went between two hosts
	Stranger  string      `json:"without_a_key,omitempty"`     // what who has no key is told there
	Tables    *Tables     `json:"tables"`
	Broken    []string    `json:"broken"` // the claims that do not hold; none: all do
	ElapsedMS int64       `json:"elapsed_ms"`
}

// WorkerRow is one worker process.
type WorkerRow struct {
	Worker  string `json:"worker"`
	Lang    string `json:"lang"`
	Process int    `json:"process"`
	Hits    int    `json:"hits"`
	MaxOpen int    `json:"max_open_transactions"` // at the same moment
	Killed  bool   `json:"killed"`
}

// Overlap is what was open at the moment when every client was inside a transaction.
type Overlap struct {
	Round     int         `json:"round"`
	ByProcess map[int]int `json:"open_transactions_by_process"` // each on a thread of its own
}

// HitRow is one hit, as its client saw it.
type HitRow struct {
	Hit       string          `json:"hit"`
	Label     string          `json:"label"`
	Round     int             `json:"round"`
	Service   string          `json:"service"`
	Worker    string          `json:"worker"`
	Lang      string          `json:"lang"`
	PID       int             `json:"process"`
	Thread    int             `json:"thread"`      // that the hit was opened on
	Real      bool            `json:"real_thread"` // the kernel listed it as a thread of the process
	Met       bool            `json:"met"`         // its client was inside a transaction when all were
	Calls     int             `json:"calls"`
	Replies   int             `json:"replies"`     // these say which thread they come from
	Same      int             `json:"same_thread"` // replies that came from the hit's thread
	Refused   int             `json:"refused"`     // calls that SQLite has answered with an error
	Busy      int             `json:"busy"`        // of these, for another one's lock or a newer state
	Commits   int             `json:"commits"`
	Rollbacks int             `json:"rollbacks"`
	End       string          `json:"end"` // closed, or the status of the error
	Outcome   string          `json:"outcome,omitempty"`
	At        string          `json:"at,omitempty"` // the statement that failed
	Reason    string          `json:"reason,omitempty"`
	Why       json.RawMessage `json:"why,omitempty"`
}

// Crash is what became of the worker that was killed, and of its hits.
type Crash struct {
	Process     int             `json:"process"`
	Lang        string          `json:"lang"`
	Replacement int             `json:"replacement_process"`
	Failed      int             `json:"hits_failed"`
	Untouched   int             `json:"hits_untouched"` // of those open elsewhere at the same moment
	Outcomes    map[string]int  `json:"outcomes"`
	InFlight    int             `json:"commits_in_flight"`
	Transfer    string          `json:"transfer"` // that the COMMIT in flight was for
	Outcome     string          `json:"outcome"`  // of the COMMIT in flight, as its client was told
	Told        string          `json:"told"`
	Why         json.RawMessage `json:"why,omitempty"`
	Resolution  string          `json:"resolution"` // what the look-up found: committed or not committed
}

// Totals counts over all hits.
type Totals struct {
	Calls     int `json:"calls"`
	Replies   int `json:"replies"`
	Same      int `json:"same_thread"`
	Hits      int `json:"hits"`
	Transfers int `json:"transfers"` // committed
	Audits    int `json:"audits"`    // committed
	Regrets   int `json:"regrets"`   // rolled back by choice
	Overdrawn int `json:"overdrawn"` // rolled back since the database refused
	Repeats   int `json:"repeats"`   // tries that gave way to others
	Meant     int `json:"meant"`     // transactions that were to be done
}

// Tables compares the file with the clients' ledgers.
type Tables struct {
	Rows           int    `json:"rows"`
	LedgerSHA256   string `json:"ledger_sha256"`
	DatabaseSHA256 string `json:"database_sha256"`
	Difference     string `json:"difference,omitempty"` // the first line that differs
}
