package wire

// Status is what a program branches on in ERROR, CLOSED and ENDED (hit.md, section 5).
type Status uint16

// The statuses of HIT/1.
const (
	OK             Status = 0
	BadFrame       Status = 1
	BadVersion     Status = 2
	BadType        Status = 3
	BadFlag        Status = 4
	TooLarge       Status = 5
	NotRegistered  Status = 6
	UnknownService Status = 7
	UnknownHit     Status = 8
	NotOwner       Status = 9
	StaleEpoch     Status = 10
	BadSeq         Status = 11
	IsClosed       Status = 12
	QueueFull      Status = 13
	Expired        Status = 14
	Cancelled      Status = 15
	WorkerGone     Status = 16
	ServiceError   Status = 17
	Panicked       Status = 18
	NameTaken      Status = 19
	Draining       Status = 20
	PeerSlow       Status = 21
	Killed         Status = 22
	Internal       Status = 23
	BrokerGone     Status = 24
	Refused        Status = 25
	BadIdentity    Status = 26
	BadKey         Status = 27
	LostReply      Status = 28
	Fenced         Status = 29
	BadToken       Status = 30
	LeaseOver      Status = 31
	BadPart        Status = 32
	OverCredit     Status = 33
	SlotTaken      Status = 34
	BadBody        Status = 35
	IsStuck        Status = 36
	NoMatch        Status = 37

	// Statuses is the number of statuses known, for tables indexed by status.
	Statuses = 38
)

var statusNames = [Statuses]string{
	"ok", "bad-frame", "bad-version", "bad-type", "bad-flag", "too-large", "not-registered", "unknown-service",
	"unknown-hit", "not-owner", "stale-epoch", "bad-seq", "closed", "queue-full", "expired", "cancelled", "worker-gone",
	"service-error", "panicked", "name-taken", "draining", "peer-slow", "killed", "internal", "broker-gone", "refused",
	"bad-identity", "bad-key", "reply-lost", "fenced", "bad-token", "lease-over", "bad-part", "over-credit", "slot-taken",
	"bad-body", "stuck", "no-match",
}

// String returns the specification's name of the status, as worker-gone.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "status-" + itoa(uint64(s))
}

// ParseStatus returns the status of a name, and whether there is one.
func ParseStatus(name string) (Status, bool) {
	for i, n := range statusNames {
		if n == name {
			return Status(i), true
		}
	}
	return 0, false
}

// Outcome says what became of a call that was not answered by a REPLY; it travels in arg of ERROR.
type Outcome uint32

// The outcomes of a failed call.
const (
	Finished     Outcome = 0 // the service ran and answered with this error
	NeverStarted Outcome = 1 // it did not run and will not
	Unknown      Outcome = 2 // it may have run, in part or whole
	ReplyLost    Outcome = 3 // it ran to its end; the reply is lost
)

// String returns the outcome in words, as "never started".
func (o Outcome) String() string {
	switch o {
	case Finished:
		return "finished"
	case NeverStarted:
		return "never started"
	case Unknown:
		return "outcome unknown"
	case ReplyLost:
		return "finished, reply lost"
	}
	return "outcome-" + itoa(uint64(o))
}
