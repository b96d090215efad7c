package wire

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// HelloInfo is the JSON frame of HELLO.
type HelloInfo struct {
	Name   string `json:"name,omitempty"`
	Lang   string `json:"lang,omitempty"`
	Window int64  `json:"window,omitempty"`  // bytes; 0: the broker's
	Token  string `json:"token,omitempty"`   // hex; with the flag direct, at a worker
	BeatMS int64  `json:"beat_ms,omitempty"` // its library sends ZMTP heartbeats this often; 0: perhaps never
}

// ReadyInfo is the JSON frame of READY.
type ReadyInfo struct {
	Name        string   `json:"name,omitempty"`
	Services    []string `json:"services"`
	Slots       int      `json:"slots"`
	Busy        int      `json:"busy,omitempty"` // slots still held by hits of an earlier connection
	PID         int      `json:"pid,omitempty"`
	Host        string   `json:"host,omitempty"`
	Incarnation string   `json:"incarnation,omitempty"`
	Lang        string   `json:"lang,omitempty"`
	Threads     string   `json:"threads,omitempty"`    // pinned or shared
	Window      int64    `json:"window,omitempty"`     // bytes; 0: the broker's
	SlotsMax    int      `json:"slots_max,omitempty"`  // how far slots can grow; 0: not at all
	Direct      string   `json:"direct,omitempty"`     // endpoint for direct hits
	DirectKey   string   `json:"direct_key,omitempty"` // its CURVE public key, Z85
	SilenceMS   int64    `json:"silence_ms,omitempty"` // how long its transport may be silent, where that is longer than the broker's limit
	// Terms are what it asks for its services, by name.
	Terms map[string]Term `json:"terms,omitempty"`
	// Labels are what selectors of tasks are matched with; worker, host and lang are there without them.
	Labels map[string]string `json:"labels,omitempty"`
}

// Term is what a worker asks for one of its services.
type Term struct {
	LeaseMS int64  `json:"lease_ms,omitempty"` // how long a call may give no sign, where that is longer than the broker's limit
	Repair  string `json:"repair,omitempty"`   // what is done about a call that is stuck: tell, fail, restart
}

// ChangedInfo is the JSON frame of CHANGED.
type ChangedInfo struct {
	Slots    int  `json:"slots"`               // hits the broker may have open here at present
	SlotsMax *int `json:"slots_max,omitempty"` // how far that can grow at present; nil: as READY said
	Zombies  int  `json:"zombies,omitempty"`   // threads of sessions that did not come back, and hold no slot any more
	// Services and Labels are what the worker offers and is from now on, all of it, with the terms of those services; nil: as before.
	Services []string          `json:"services,omitempty"`
	Terms    map[string]Term   `json:"terms,omitempty"`
	Labels   map[string]string `json:"labels,omitzero"`
}

// VitalsInfo is the JSON frame of VITALS.
type VitalsInfo struct {
	Peer       string `json:"peer"`        // worker, client or broker
	Alive      bool   `json:"alive"`       // its connection stands, and its transport has answered
	By         string `json:"by"`          // the instrument that says so
	WithinMS   int64  `json:"within_ms"`   // a silence of the transport longer than this would have been noticed
	State      string `json:"state"`       // of the hit
	Running    uint32 `json:"running"`     // seq of the call under way, 0: none
	RunningMS  int64  `json:"running_ms"`  // since that call was passed on, or the one before was answered
	ProgressMS int64  `json:"progress_ms"` // since the hit's thread last gave a sign
	Queued     int    `json:"queued"`      // calls behind the running one

	Tree *TreeNode `json:"tree,omitempty"` // of a worker, for its broker
}

// WelcomeInfo is the JSON frame of WELCOME.
type WelcomeInfo struct {
	Broker      string `json:"broker"`
	Incarnation string `json:"incarnation"`
	MaxBody     int64  `json:"max_body"`
	Window      int64  `json:"window"`
	HeartbeatMS int64  `json:"heartbeat_ms"`
	Name        string `json:"name"`
	MaxResumeMS int64  `json:"max_resume_ms,omitempty"` // how long a hit is kept without its client, at most; to clients
	LeaseMS     int64  `json:"lease_ms,omitempty"`      // of direct hits; to workers
}

// OpenOptions is the JSON frame of OPEN.
type OpenOptions struct {
	Label   string          `json:"label,omitempty"`
	Session json.RawMessage `json:"session,omitempty"`
	// ResumeMS asks for the hit to be kept that long without its client.
	ResumeMS int64 `json:"resume_ms,omitempty"`
	// Target says which workers may have it; nil: any that offers the service.
	Target *Target `json:"target,omitempty"`
	// Task makes a single call one that is known by an id.
	Task *TaskOptions `json:"task,omitempty"`
}

// TaskOptions are those of a single call that outlives whoever submitted it, and whose answer does (hit.md, section 19).
type TaskOptions struct {
	ID     string `json:"id"`                // 1 to 128 printable characters; who submits it twice gets the one answer
	KeepMS int64  `json:"keep_ms,omitempty"` // for how long the answer is kept
	Again  bool   `json:"again,omitempty"`   // one that has failed is run again
	Attach bool   `json:"attach,omitempty"`  // nothing is run: an id that is not known is an error
}

// Validate judges the options of a task as a broker does. The error is a *BadMessage that names the field.
func (t *TaskOptions) Validate() error {
	if len(t.ID) == 0 || len(t.ID) > MaxName || strings.ContainsFunc(t.ID, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return bad(BadFrame, "OPEN: task: id is %.140q: 1 to %d printable ASCII characters without blanks are possible", t.ID, MaxName)
	}
	if t.KeepMS < 0 || t.KeepMS > 7*MaxLimitMS {
		return bad(BadFrame, "OPEN: task: keep_ms is %d: from 0 to %d are possible", t.KeepMS, 7*MaxLimitMS)
	}
	return nil
}

// Limits of the cold path.
const (
	MaxSlots   = 65535
	MaxService = 128     // bytes of a service's name
	MaxOptions = 1 << 16 // bytes of the options frame
	MaxJSON    = 1 << 20 // bytes of any JSON frame
	MaxName    = 128     // bytes of a peer's name

	MaxLimitMS  = 24 * 3600 * 1000 // ms of a lease or a silence that a peer asks for
	MaxEndpoint = 255              // bytes of an endpoint for direct hits
)

// ParseHello reads the JSON frame of HELLO. The error is a *BadMessage.
func ParseHello(b []byte) (HelloInfo, error) {
	var h HelloInfo
	err := parseJSON(Hello, b, &h)
	if err == nil && (len(h.Name) > MaxName || h.Window < 0 || h.BeatMS < 0 || h.BeatMS > MaxLimitMS) {
		err = bad(BadFrame, "HELLO: name has %d bytes, window is %d and beat_ms %d: at most %d bytes, no negative window, and a beat_ms from 0 to %d are possible", len(h.Name), h.Window, h.BeatMS, MaxName, MaxLimitMS)
	}
	return h, err
}

// ParseReady reads the JSON frame of READY and checks it. The error is a *BadMessage that names the field.
func ParseReady(b []byte) (ReadyInfo, error) {
	var r ReadyInfo
	if err := parseJSON(Ready, b, &r); err != nil {
		return r, err
	}
	return r, r.check()
}

func (r *ReadyInfo) check() error {
	switch {
	case len(r.Services) == 0:
		return bad(BadFrame, "READY: services is empty: name at least one service")
	case r.Slots < 0 || r.Slots > MaxSlots || (r.Slots == 0 && r.SlotsMax == 0):
		return bad(BadFrame, "READY: slots is %d: from 1 to %d are possible", r.Slots, MaxSlots)
	case r.SlotsMax != 0 && (r.SlotsMax < r.Slots || r.SlotsMax > MaxSlots):
		return bad(BadFrame, "READY: slots_max is %d with %d slots: from as many as slots to %d are possible", r.SlotsMax, r.Slots, MaxSlots)
	case r.Busy < 0 || r.Busy > r.Slots:
		return bad(BadFrame, "READY: busy is %d of %d slots", r.Busy, r.Slots)
	case len(r.Name) > MaxName:
		return bad(BadFrame, "READY: name has %d bytes: at most %d are possible", len(r.Name), MaxName)
	case r.Threads != "" && r.Threads != "pinned" && r.Threads != "shared":
		return bad(BadFrame, "READY: threads is %q: pinned and shared are possible", r.Threads)
	case r.Direct != "" && (len(r.Direct) > MaxEndpoint || !strings.Contains(r.Direct, "://")):
		return bad(BadFrame, "READY: direct is %.100q: a ZeroMQ endpoint of at most %d bytes is possible, as tcp://127.0.0.1:5702", r.Direct, MaxEndpoint)
	case r.DirectKey != "" && len(r.DirectKey) != 40:
		return bad(BadFrame, "READY: direct_key has %d characters: a CURVE key in Z85 has 40", len(r.DirectKey))
	case r.SilenceMS < 0 || r.SilenceMS > MaxLimitMS:
		return bad(BadFrame, "READY: silence_ms is %d: from 0 to %d are possible", r.SilenceMS, MaxLimitMS)
	case r.Window < 0:
		return bad(BadFrame, "READY: window is %d bytes: leave it out for the broker's", r.Window)
	}
	return checkOffer(Ready, r.Services, r.Terms, r.Labels)
}

// checkOffer judges what a worker says that it offers and is.
func checkOffer(t Type, services []string, terms map[string]Term, labels map[string]string) error {
	for _, s := range services {
		if err := CheckService([]byte(s)); err != nil {
			return err
		}
	}
	if err := CheckLabels(t, labels); err != nil {
		return err
	}
	for name, x := range terms {
		switch {
		case !slices.Contains(services, name):
			return bad(BadFrame, "%v: terms has %.100q, which is not among the services: leave it out, or offer the service", t, name)
		case x.LeaseMS < 0 || x.LeaseMS > MaxLimitMS:
			return bad(BadFrame, "%v: terms: lease_ms of %s is %d: from 0 to %d are possible", t, name, x.LeaseMS, MaxLimitMS)
		case x.Repair != "" && x.Repair != "tell" && x.Repair != "fail" && x.Repair != "restart":
			return bad(BadFrame, "%v: terms: repair of %s is %.100q: tell, fail and restart are possible", t, name, x.Repair)
		}
	}
	return nil
}

// ParseChanged reads the JSON frame of CHANGED and checks it. The error is a *BadMessage that names the field.
func ParseChanged(b []byte) (ChangedInfo, error) {
	var c ChangedInfo
	err := parseJSON(Changed, b, &c)
	switch {
	case err != nil:
	case c.Slots < 0 || c.Slots > MaxSlots:
		err = bad(BadFrame, "CHANGED: slots is %d: from 0 to %d are possible", c.Slots, MaxSlots)
	case c.Zombies < 0:
		err = bad(BadFrame, "CHANGED: zombies is %d: count from 0", c.Zombies)
	case c.SlotsMax != nil && (*c.SlotsMax < c.Slots || *c.SlotsMax > MaxSlots):
		err = bad(BadFrame, "CHANGED: slots_max is %d with %d slots: from as many as slots to %d are possible", *c.SlotsMax, c.Slots, MaxSlots)
	case c.Services != nil && len(c.Services) == 0:
		err = bad(BadFrame, "CHANGED: services is empty: leave it out where nothing has changed, or say slots 0")
	default:
		err = checkOffer(Changed, c.Services, c.Terms, c.Labels)
	}
	return c, err
}

// CheckService judges the name of a service. The error is a *BadMessage.
func CheckService(name []byte) error {
	if len(name) == 0 || len(name) > MaxService {
		return bad(BadFrame, "service name has %d bytes: from 1 to %d are possible", len(name), MaxService)
	}
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return bad(BadFrame, "service name %q: only printable ASCII without blanks is possible", name)
		}
	}
	return nil
}

// ParseOptions reads the options frame of OPEN; empty is allowed. The error is a *BadMessage.
func ParseOptions(b []byte) (OpenOptions, error) {
	var o OpenOptions
	if len(b) == 0 {
		return o, nil
	}
	if len(b) > MaxOptions {
		return o, bad(BadFrame, "OPEN: options has %d bytes: at most %d are possible", len(b), MaxOptions)
	}
	err := parseJSON(Open, b, &o)
	if err == nil && o.Target != nil {
		err = o.Target.Validate()
	}
	if err == nil && o.Task != nil {
		err = o.Task.Validate()
	}
	return o, err
}

func parseJSON(t Type, b []byte, into any) error {
	if len(b) > MaxJSON {
		return bad(BadFrame, "%v: the JSON frame has %d bytes: at most %d are possible", t, len(b), MaxJSON)
	}
	if text := bytes.TrimLeft(b, " \t\r\n"); len(text) == 0 || text[0] != '{' {
		return bad(BadFrame, "%v: the JSON frame is not an object: send {} when there is nothing to say", t)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return bad(BadFrame, "%v: the JSON frame cannot be read: %v", t, err)
	}
	return nil
}

// JSON returns v as a frame. It panics on a value that has no JSON form, which is a defect of the caller.
func JSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("wire: value without a JSON form: " + err.Error())
	}
	return b
}

// ParseWelcome reads the JSON frame of WELCOME. The error is a *BadMessage.
func ParseWelcome(b []byte) (WelcomeInfo, error) {
	var w WelcomeInfo
	err := parseJSON(Welcome, b, &w)
	return w, err
}
