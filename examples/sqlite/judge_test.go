package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// good is a report of a run in which everything held.
func good() *Report {
	hit := func(round, pid int, end string) HitRow {
		h := HitRow{Round: round, PID: pid, Thread: pid + 1, Real: true, Calls: 4, Replies: 3, Same: 3, End: end}
		if end != "closed" {
			h.Reason = "lost"
		}
		return h
	}
	blob := func(lang, route, on string) BlobRow {
		return BlobRow{Lang: lang, Route: route, Network: on, SHA256: "1", Worker: "1", Came: "1"}
	}
	return &Report{
		Clients: 16, Stranger: "refused",
		Blobs: []BlobRow{
			blob("go", "routed", "loopback"), blob("go", "direct", "loopback"), blob("python", "routed", "loopback"), blob("python", "direct", "loopback"),
			blob("go", "routed", network), blob("go", "direct", network),
		},
		Overlaps: []Overlap{{1, map[int]int{10: 8, 20: 8}}, {2, map[int]int{20: 7, 30: 9}}},
		Hits:     []HitRow{hit(1, 10, "worker-gone"), hit(1, 20, "closed"), hit(2, 20, "closed"), hit(2, 30, "closed")},
		Workers:  []WorkerRow{{Process: 10, Hits: 1}, {Process: 20, Hits: 2}, {Process: 30, Hits: 1}},
		Crash:    &Crash{Process: 10, Failed: 8, Untouched: 8, InFlight: 1, Outcome: "outcome unknown", Resolution: "committed"},
		Totals:   Totals{Meant: 10, Transfers: 4, Audits: 3, Regrets: 2, Overdrawn: 1},
		Tables:   &Tables{LedgerSHA256: "1", DatabaseSHA256: "1"},
	}
}

func TestEveryClaimCanBreak(t *testing.T) {
	r := good()
	r.judge()
	require.Empty(t, r.Broken)
	for want, spoil := range map[string]func(r *Report){
		"at most 7 transactions":                            func(r *Report) { r.Overlaps[1].ByProcess = map[int]int{20: 7, 30: 7, 40: 2} },
		"of 16 clients 15":                                  func(r *Report) { r.Overlaps[1].ByProcess = map[int]int{20: 7, 30: 8} },
		"of 3 replies 2 came":                               func(r *Report) { r.Hits[2].Same = 2 },
		"of 0 replies 0 came":                               func(r *Report) { r.Hits[2].Replies, r.Hits[2].Same = 0, 0 },
		"no thread 31 in process 30":                        func(r *Report) { r.Hits[3].Real = false },
		"has served no hit":                                 func(r *Report) { r.Workers[2].Hits = 0 },
		"which was not killed":                              func(r *Report) { r.Hits[1].End = "worker-gone" },
		`ended with "closed"`:                               func(r *Report) { r.Hits[0].End = "closed" },
		"not with worker-gone and a rea":                    func(r *Report) { r.Hits[0].Reason = "" },
		"8 hits were open at the pro":                       func(r *Report) { r.Crash.Failed = 7 },
		"8 hits were open elsewhere":                        func(r *Report) { r.Crash.Untouched = 7 },
		"the COMMIT in flight ended":                        func(r *Report) { r.Crash.InFlight = 0 },
		"the COMMIT in flight ended with \"never started\"": func(r *Report) { r.Crash.Outcome = "never started" },
		"came back as another one":                          func(r *Report) { r.Blobs[0].Came = "2" },
		"has stored another blob":                           func(r *Report) { r.Blobs[1].Worker = "2" },
		"grew by 64 MiB":                                    func(r *Report) { r.Blobs[2].Grown = blobSize },
		"a blob went 5 ways":                                func(r *Report) { r.Blobs = r.Blobs[1:] },
		"without a key":                                     func(r *Report) { r.Stranger = letIn },
		"was not looked up":                                 func(r *Report) { r.Crash.Resolution = "" },
		"10 transactions were to be done, 9 are":            func(r *Report) { r.Totals.Audits = 2 },
		"the tables are not what was committed":             func(r *Report) { r.Tables.DatabaseSHA256 = "2" },
		"only the database has x":                           func(r *Report) { r.Tables.Difference = "only the database has x" },
	} {
		r := good()
		spoil(r)
		r.judge()
		require.Len(t, r.Broken, 1, want)
		require.Contains(t, r.Broken[0], want)
	}
}

func TestTheFirstDifferenceIsNamed(t *testing.T) {
	b := generate(3)
	p := payment{id: "x", debit: 2, credit: 3, amount: 5}
	with, without := b.dump([]payment{p}), b.dump(nil)
	require.Empty(t, difference(with, with))
	require.Equal(t, sum(with), sum(b.dump([]payment{p})))
	require.NotEqual(t, sum(with), sum(without))
	require.Contains(t, difference(with, without), "account|2|")
	require.Equal(t, "only the database has b", difference([]string{"a", "c"}, []string{"a", "b", "c"}))
	require.Equal(t, "only the ledgers have c", difference([]string{"a", "c"}, []string{"a"}))
	require.Equal(t, "only the database has c", difference([]string{"a"}, []string{"a", "c"}))
	require.NotEqual(t, without, generate(4).dump(nil), "another seed makes other data")
}
