package wire

// Type says what a message is (hit.md, section 3).
type Type uint8

// The message types of HIT/1.
const (
	Hello   Type = 1
	Open    Type = 2
	Call    Type = 3
	Cancel  Type = 4
	Close   Type = 5
	Ping    Type = 6
	Pong    Type = 7
	Credit  Type = 8
	Admin   Type = 9
	Bye     Type = 10
	Resume  Type = 11
	Ack     Type = 12
	Detach  Type = 13
	Probe   Type = 14
	Part    Type = 15
	Welcome Type = 17
	Opened  Type = 18
	Reply   Type = 19
	Working Type = 20
	Error   Type = 21
	Closed  Type = 22
	Report  Type = 23
	Resumed Type = 24
	Vitals  Type = 25
	Moved   Type = 26
	Ready   Type = 33
	Ended   Type = 34
	Changed Type = 35
	Renew   Type = 36
	Tally   Type = 37
	Hold    Type = 38
	Begin   Type = 49
	End     Type = 50
	Grant   Type = 51 // LEASE; the word is taken by Lease
)

// rule is what section 3 and 4 of the specification allow a type to carry.
type rule struct {
	name   string
	flags  Flags // flags that may be set
	frames [2]int
}

// MaxBodies is the highest number of body frames of one message.
const MaxBodies = 60

var rules = [256]rule{
	Hello:   {"HELLO", Direct, [2]int{1, 1}},
	Open:    {"OPEN", First | Last | Ref | Now | Direct | Idempotent, [2]int{2, 2 + MaxBodies}},
	Call:    {"CALL", Last | More | Idempotent, [2]int{1, MaxBodies}},
	Cancel:  {"CANCEL", Ref, [2]int{0, 0}},
	Close:   {"CLOSE", Ref, [2]int{0, 0}},
	Ping:    {"PING", 0, [2]int{0, 0}},
	Pong:    {"PONG", 0, [2]int{0, 0}},
	Credit:  {"CREDIT", 0, [2]int{0, 0}},
	Admin:   {"ADMIN", 0, [2]int{1, 1}},
	Bye:     {"BYE", 0, [2]int{0, 0}},
	Resume:  {"RESUME", 0, [2]int{1, 1}},
	Ack:     {"ACK", 0, [2]int{0, 0}},
	Detach:  {"DETACH", 0, [2]int{0, 0}},
	Probe:   {"PROBE", 0, [2]int{0, 0}},
	Part:    {"PART", Last | More, [2]int{1, MaxBodies}},
	Welcome: {"WELCOME", Direct, [2]int{1, 1}},
	Opened:  {"OPENED", Ref | Direct, [2]int{0, 6}},
	Reply:   {"REPLY", Last | Ref | More, [2]int{1, MaxBodies}},
	Working: {"WORKING", Ref, [2]int{0, 1}},
	Error:   {"ERROR", Last | Ref, [2]int{1, 2}},
	Closed:  {"CLOSED", Ref, [2]int{1, 2}},
	Report:  {"REPORT", 0, [2]int{1, 1}},
	Resumed: {"RESUMED", 0, [2]int{2, 2}},
	Vitals:  {"VITALS", 0, [2]int{1, 1}},
	Moved:   {"MOVED", 0, [2]int{1, 1}},
	Ready:   {"READY", 0, [2]int{1, 1}},
	Ended:   {"ENDED", 0, [2]int{0, 1}},
	Changed: {"CHANGED", 0, [2]int{1, 1}},
	Renew:   {"RENEW", 0, [2]int{0, 0}},
	Tally:   {"TALLY", More, [2]int{0, 0}},
	Hold:    {"HOLD", 0, [2]int{0, 0}},
	Begin:   {"BEGIN", First | Last | Direct, [2]int{2, 2 + MaxBodies}},
	End:     {"END", 0, [2]int{0, 0}},
	Grant:   {"LEASE", 0, [2]int{0, 0}},
}

// Known reports whether t is a type of this version.
func (t Type) Known() bool { return rules[t].name != "" }

// String returns the specification's name of the type, as OPEN.
func (t Type) String() string {
	if t.Known() {
		return rules[t].name
	}
	return "type " + itoa(uint64(t))
}

// Flags qualify a message (hit.md, section 4).
type Flags uint16

// The flags of HIT/1.
const (
	First  Flags = 0x0001 // OPEN, BEGIN: the bodies are the hit's first call
	Last   Flags = 0x0002 // close after this call; on an answer: the hit has ended
	More   Flags = 0x0004 // CALL, REPLY, PART: parts of the body follow
	Now    Flags = 0x0008 // OPEN: refuse rather than wait for a slot
	Ref    Flags = 0x0010 // the hit field is the client's reference
	Direct Flags = 0x0020 // the hit's calls take the direct way between client and worker

	Idempotent Flags = 0x0040 // OPEN with first, CALL of a client: the call may run twice, and needs nothing of the calls before it
)

// Has reports whether all flags of want are set.
func (f Flags) Has(want Flags) bool { return f&want == want }

// itoa keeps fmt and strconv out of the package's hot imports.
func itoa(n uint64) string {
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}
