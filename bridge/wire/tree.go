package wire

// TreeNode is one part of a process's supervision tree, as REPORT and VITALS tell of it.
type TreeNode struct {
	ID         string     `json:"id"`
	Path       string     `json:"path"`                 // the actor's name
	State      string     `json:"state"`                // starting, running, stopping, restarting
	Restarts   int        `json:"restarts"`             // so far
	Last       string     `json:"last,omitempty"`       // why the incarnation before this one ended
	Mailbox    int        `json:"mailbox"`              // messages that wait; -1: not known
	Message    string     `json:"message,omitempty"`    // what it is handling; empty: it is idle
	ForMS      int64      `json:"for_ms"`               // for how long
	Supervisor bool       `json:"supervisor,omitempty"` // it has children
	Late       bool       `json:"late,omitempty"`       // this supervisor did not answer in time: what is said was read past it
	Children   []TreeNode `json:"children,omitempty"`
	More       int        `json:"more,omitempty"` // children that are left out, since there are so many
}

// MaxTreeChildren is how many children of one supervisor a TreeNode tells of.
const MaxTreeChildren = 256
