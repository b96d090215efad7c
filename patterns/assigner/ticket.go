package assigner

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/actors/machine"
)

// ErrBadTicket is the cause of the error for a ticket that is none, is damaged, or is of an unknown version.
var ErrBadTicket = errors.New("bad ticket")

// ticket is what takes a hit up again, also from another process. Its text is "troupe-ticket:1:", base64url of JSON, ":", CRC-32 of all before.
type ticket struct {
	Broker      string `json:"broker"`
	Incarnation string `json:"incarnation"` // of the broker
	Hit         string `json:"hit"`         // handle, hex
	Key         string `json:"key"`         // hex
	Service     string `json:"service"`
	ResumeMS    int64  `json:"resume_ms"`
	Sent        uint32 `json:"sent"`     // seq of the last call
	Received    uint32 `json:"received"` // seq of the last answer

	handle uint64
	key    machine.Key
}

const (
	ticketWord    = "troupe-ticket:"
	ticketVersion = "1"
)

// TicketAbout is what a ticket says of its hit, its key apart.
type TicketAbout struct {
	Broker   string // where the hit was opened
	Service  string
	Hit      uint64
	Kept     time.Duration // how long the broker keeps the hit without a client
	Sent     uint32        // the last call made
	Received uint32        // the last call answered
}

// AboutTicket reads a ticket without using it. The error wraps ErrBadTicket.
func AboutTicket(text string) (TicketAbout, error) {
	t, err := parseTicket(text)
	if err != nil {
		return TicketAbout{}, err
	}
	return TicketAbout{t.Broker, t.Service, t.handle, time.Duration(t.ResumeMS) * time.Millisecond, t.Sent, t.Received}, nil
}

func (t *ticket) text() string {
	b, err := json.Marshal(t)
	if err != nil {
		panic("assigner: a ticket without a JSON form: " + err.Error())
	}
	head := ticketWord + ticketVersion + ":" + base64.RawURLEncoding.EncodeToString(b)
	return head + ":" + checksum(head)
}

func checksum(text string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text))) }

// parseTicket reads a ticket's text. The error wraps ErrBadTicket and says what is wrong with it.
func parseTicket(text string) (*ticket, error) {
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, ticketWord)
	if !ok {
		return nil, badTicket("it does not begin with %q: give the text that Hit.Ticket returned, as it was", ticketWord)
	}
	parts := strings.Split(rest, ":")
	if parts[0] != ticketVersion {
		return nil, badTicket("its version is %q, this library reads version %s: resume with the library that wrote it", parts[0], ticketVersion)
	}
	if len(parts) != 3 {
		return nil, badTicket("it has %d parts, 3 belong to it: it was cut, or changed", len(parts))
	}
	if sum := checksum(text[:len(text)-len(parts[2])-1]); sum != parts[2] {
		return nil, badTicket("its checksum is %q, but should be %s: it was cut, or changed", parts[2], sum)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, badTicket("%v", err)
	}
	t := &ticket{}
	if err := json.Unmarshal(b, t); err != nil {
		return nil, badTicket("%v", err)
	}
	return t, t.check()
}

func (t *ticket) check() error {
	if n, err := fmt.Sscanf(t.Hit, "%x", &t.handle); n != 1 || err != nil || t.handle == 0 {
		return badTicket("its handle is %q", t.Hit)
	}
	key, err := hex.DecodeString(t.Key)
	if err != nil || len(key) != len(t.key) {
		return badTicket("its key has %d digits, %d belong to it", len(t.Key), 2*len(t.key))
	}
	copy(t.key[:], key)
	if t.Received > t.Sent || t.ResumeMS <= 0 {
		return badTicket("it says that %d answers to %d calls were received, and that the hit is kept for %d ms", t.Received, t.Sent, t.ResumeMS)
	}
	return nil
}

func badTicket(format string, args ...any) error {
	return fmt.Errorf("assigner: %w: %s", ErrBadTicket, fmt.Sprintf(format, args...))
}
