package wire

import "strings"

// Type says what a message is.
type Type uint8

// The types of messages.
const (
	Hello    Type = iota + 1 // who I am: member to master, guest to master, master to master
	ViewIs                   // master to member: all hosts
	Ping                     // master to member, master to master: I am there
	Pong                     // the answer to it
	AskAll                   // a question: asker to master, master to masters, master to members
	RosterIs                 // master to asker: whom I have asked
	Part                     // a piece of an answer, on its way to the asker
	Done                     // asker to all: the ledger is complete, forget the answers
	Leave                    // I go
	PollIs                   // member to member: is our master hung?
	BallotIs                 // the answer to it
	Query                    // guest to member: show what you know
	Report                   // the answer to it
	types
)

var typeNames = [types]string{
	"", "HELLO", "VIEW", "PING", "PONG", "ASK", "ROSTER", "PART", "DONE", "LEAVE", "POLL", "BALLOT", "QUERY", "REPORT",
}

// String returns the type as the specification names it.
func (t Type) String() string {
	if t == 0 || t >= types {
		return "?"
	}
	return typeNames[t]
}

// Tally counts messages by type.
type Tally [types]uint64

// Add counts a message.
func (t *Tally) Add(of Type) { t[of]++ }

// Into adds what was counted to counters, as `sent_ask`.
func (t *Tally) Into(counters map[string]uint64) {
	for of, n := range t {
		if n > 0 {
			counters["sent_"+strings.ToLower(Type(of).String())] = n
		}
	}
}

// Flags of a message.
const (
	Last   uint32 = 1 << iota // of PART: the answer's last one
	Failed                    // of PART: the body is an error's text, the member could not answer
	Reply                     // of HELLO: it answers one, and wants no other
	Guest                     // of HELLO: the sender asks and is no member
)

// Message is any message. Which fields matter is its type's; Host and Term are always the sender's.
type Message struct {
	Type      Type
	Flags     uint32
	Term      uint64   // the sender's, or the one that it follows
	From      MemberID // who says so: of PART whose answer it is, otherwise the sender
	Host      HostID   // of who sends it
	Asker     MemberID // whose question it is
	AskerHost HostID
	Origin    HostID // of PART: the host of From
	Seq       uint64 // of the question; of POLL and BALLOT the round's number
	Part      uint32 // of PART its number from 0 on; of ASK to a member the first one wanted
	Version   uint64 // of PING and PONG: of the view, or of the section
	Note      *Note  // what else there is to say
	Body      []byte // of questions and answers; the bytes are the message's
}

// Question returns which question the message is about.
func (m *Message) Question() QuestionID { return QuestionID{m.Asker, m.Seq} }

// Note is the part of a message that is no hot path: JSON on the wire. Only the field of the message's type is set.
type Note struct {
	Record  *Record  `json:"record,omitempty"`  // HELLO of a member
	Ended   []Ended  `json:"ended,omitempty"`   // HELLO of a member: who has ended on this host
	Section *Section `json:"section,omitempty"` // HELLO of a master
	View    *View    `json:"view,omitempty"`
	Ask     *Ask     `json:"ask,omitempty"`
	Roster  *Roster  `json:"roster,omitempty"`
	Done    []uint64 `json:"done,omitempty"`
	Poll    *Poll    `json:"poll,omitempty"`
	Ballot  *Ballot  `json:"ballot,omitempty"`
	Report  *Status  `json:"report,omitempty"`
}

// Ask says who is to be asked. Masters keep no ledger: the asker says again what it misses until it misses nothing.
type Ask struct {
	All    bool              `json:"all,omitempty"`    // all hosts that the asker's master reaches
	Fresh  []HostID          `json:"fresh,omitempty"`  // hosts of which the asker has no roster
	Need   []Need            `json:"need,omitempty"`   // members whose answers are missing
	Labels map[string]string `json:"labels,omitempty"` // of whoever is asked by All and Fresh
}

// Need is a member whose answer is missing, from one part on.
type Need struct {
	Host   HostID   `json:"host"`
	Member MemberID `json:"member"`
	From   uint32   `json:"from,omitempty"`
}

// Roster says whom a master has asked on its host; the asker's own master adds the hosts that it has passed the question on to.
type Roster struct {
	Host    HostID   `json:"host"`
	Stamp   Stamp    `json:"stamp"` // of the section it was taken from
	Members []Member `json:"members"`
	Hosts   []HostID `json:"hosts,omitempty"`
}

// Poll asks a member of the host for its vote.
type Poll struct {
	Target MemberID `json:"target"`
	Term   uint64   `json:"term"`
	Killed string   `json:"killed,omitempty"` // no question: it was decided, and this is how
}

// Ballot is a vote: what the voter knows itself at this moment.
type Ballot struct {
	Target   MemberID `json:"target"`
	Term     uint64   `json:"term"`
	Guilty   bool     `json:"guilty"`
	Finding  string   `json:"finding"` // stopped, busy, idle; or why the voter abstains
	SilentMS int64    `json:"silent_ms"`
}
