package wire

// Record is what a member writes into its file in the run directory, and what a master writes into its term's: enough to find its process again and to know that it is still that one.
type Record struct {
	ID       MemberID          `json:"id"`
	Host     HostID            `json:"host"`
	Name     string            `json:"name"`
	PID      int               `json:"pid"`
	Start    uint64            `json:"start"` // of the process, in clock ticks after boot (proc_pid_stat(5), field 22)
	Space    uint64            `json:"space"` // inode of its PID namespace: numbers mean nothing in another one
	Boot     string            `json:"boot"`  // of the machine (boot_id)
	Socket   string            `json:"socket"`
	Labels   map[string]string `json:"labels,omitempty"`
	NoKill   bool              `json:"no_kill,omitempty"` // it does not kill, and nobody may kill it
	Listen   string            `json:"listen,omitempty"`  // where it listens for other hosts when it is master
	HostName string            `json:"host_name"`
}

// Member is what everybody knows of a member.
type Member struct {
	ID      MemberID          `json:"id"`
	Name    string            `json:"name"`
	PID     int               `json:"pid"`
	Labels  map[string]string `json:"labels,omitempty"`
	Verdict string            `json:"verdict,omitempty"` // FROZEN, while it stands
	Why     string            `json:"why,omitempty"`
}

// How a member has ended.
const (
	HowLeft   = "LEFT"   // it said so
	HowGone   = "GONE"   // its process, or its lock, is no more
	HowKilled = "KILLED" // the members of its host decided so
)

// Ended is a member that is no more.
type Ended struct {
	Member
	How string `json:"how"`
}

// Section is what a host's master says of its host. Only it writes it, so the later Stamp is right.
type Section struct {
	Host    HostID   `json:"host"`
	Name    string   `json:"name"`
	Stamp   Stamp    `json:"stamp"`
	Master  MemberID `json:"master"`
	Members []Member `json:"members"`
	Ended   []Ended  `json:"ended,omitempty"` // the last ones, MaxEnded at most
}

// MaxEnded is how many ended members a section remembers.
const MaxEnded = 64

// Reach is what a master knows of the way to another host.
type Reach struct {
	Verdict string `json:"verdict,omitempty"` // empty: it is in reach
	Why     string `json:"why,omitempty"`
}

// Host is a section, and how it can be reached from where the view comes from.
type Host struct {
	Section
	Reach Reach `json:"reach"`
}

// View is what a master tells its members of all hosts.
type View struct {
	Version uint64 `json:"version"` // counts within a term
	Hosts   []Host `json:"hosts"`
}

// Matches reports whether labels have all that is wanted.
func Matches(labels, want map[string]string) bool {
	for k, v := range want {
		if has, ok := labels[k]; !ok || has != v {
			return false
		}
	}
	return true
}
