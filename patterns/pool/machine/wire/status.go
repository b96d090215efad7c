package wire

import "github.com/troupe-mq/troupe/supervision/why"

// Status is what a member tells guests of itself and of what it knows.
type Status struct {
	Pool     string            `json:"pool"`
	ID       MemberID          `json:"id"`
	Name     string            `json:"name"`
	PID      int               `json:"pid"`
	Host     HostID            `json:"host"`
	HostName string            `json:"host_name"`
	Role     string            `json:"role"` // seeking, following, master
	Term     uint64            `json:"term"`
	Master   MemberID          `json:"master"`
	Running  int               `json:"running"` // questions whose handler runs
	Asking   int               `json:"asking"`  // its own that are open
	Counters map[string]uint64 `json:"counters"`
	View     View              `json:"view"`
	Whys     []why.Record      `json:"whys,omitempty"`
	Votes    []Vote            `json:"votes,omitempty"` // of the last poll that it held
}

// Vote is a ballot with its voter.
type Vote struct {
	Voter MemberID `json:"voter"`
	Name  string   `json:"name"`
	Ballot
}
