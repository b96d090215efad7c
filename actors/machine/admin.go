package machine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// AdminRequest is the JSON frame of ADMIN.
type AdminRequest struct {
	Cmd   string `json:"cmd"`             // status, hit.list, hit.kill, hit.alive, worker.list, worker.alive, why, drain, tree, members, task.list, task.cancel, queue.list, queue.show, queue.remove, queue.clear, queue.move, queue.hold, queue.release, events, whoami
	About string `json:"about,omitempty"` // with why: a worker's or client's name, or a hex handle; empty: all. With drain: a worker's name; empty: the broker
	Hit   string `json:"hit,omitempty"`   // hex handle
	After string `json:"after,omitempty"` // hex handle that the page starts behind
	Limit int    `json:"limit,omitempty"` // rows of a page, at most and by default 1000
	By    string `json:"by,omitempty"`    // who asks, for the why-record

	// With drain: endpoints of other brokers, for clients and for workers, that are told to go there.
	ClientsTo []string `json:"clients_to,omitempty"`
	WorkersTo []string `json:"workers_to,omitempty"`

	Service string `json:"service,omitempty"` // with members and task.list: of which service
	Where   string `json:"where,omitempty"`   // with members: a selector of labels

	// With queue commands, beside Service: which target's queue, which topic, how long they have waited at least, one item's id, where to, and whether they are only counted.
	For     string `json:"for,omitempty"`
	Topic   string `json:"topic,omitempty"`
	OlderMS int64  `json:"older_ms,omitempty"`
	ID      string `json:"id,omitempty"`
	To      string `json:"to,omitempty"`
	DryRun  bool   `json:"dry_run,omitempty"`

	Task  string `json:"task,omitempty"`  // with task.list and task.cancel: an id
	Kind  string `json:"kind,omitempty"`  // with events: only these, or those that begin like this
	State string `json:"state,omitempty"` // with task.list: queued, running, done or failed

	Worker string `json:"worker,omitempty"` // with worker.alive and tree: its name; tree without: the broker's
}

// HitRow is one hit in a listing.
type HitRow struct {
	Hit     string `json:"hit"`
	Actor   string `json:"actor"`
	Service string `json:"service"`
	Label   string `json:"label,omitempty"`
	State   string `json:"state"`
	Worker  string `json:"worker"`
	Host    string `json:"host"`
	PID     int    `json:"pid"`
	Thread  uint32 `json:"thread"`
	Calls   uint32 `json:"calls"`
	Waiting uint32 `json:"calls_under_way"`
	AgeMS   int64  `json:"age_ms"`
	Client  string `json:"client,omitempty"`
	Key     string `json:"key,omitempty"`            // the name of the client's key
	Route   string `json:"route"`                    // routed or direct
	KiB     uint32 `json:"kib,omitempty"`            // of bodies on the direct way, as its worker has told
	LeftMS  int64  `json:"adrift_left_ms,omitempty"` // how long a hit that is adrift is kept
}

// WorkerRow is one worker in a listing.
type WorkerRow struct {
	Name     string            `json:"worker"`
	State    string            `json:"state"`
	Host     string            `json:"host"`
	PID      int               `json:"pid"`
	Lang     string            `json:"lang"`
	Threads  string            `json:"threads"`
	Services []string          `json:"services"`
	Labels   map[string]string `json:"labels,omitempty"`
	Slots    int               `json:"slots"`
	Max      int               `json:"slots_max"` // how many slots there can be
	Used     int               `json:"used"`
	Zombies  int               `json:"zombies,omitempty"` // threads of sessions that did not come back; their slots have new ones
	Served   uint64            `json:"hits_served"`
	AgeMS    int64             `json:"age_ms"`
	Key      string            `json:"key,omitempty"` // the name of its key
	Checked  int64             `json:"checked_ms"`    // since its transport was looked at, or it registered
	Heard    int64             `json:"heard_ms"`      // since the last sign of it that is known of
	Limit    int64             `json:"silence_ms"`    // the silence after which it is given up
	Why      string            `json:"why,omitempty"` // the last verdict about it or a hit of its, in one line
}

// ServiceRow is one service in a status.
type ServiceRow struct {
	Name    string `json:"service"`
	Workers int    `json:"workers"`
	Slots   int    `json:"slots"`
	Max     int    `json:"slots_max"`
	Used    int    `json:"used"`
	Waiting int    `json:"waiting"`
	// At workers that are here, on average, ms: how long hits that were given a slot had waited for it, and how long those that are over, Ended of them, had it.
	WaitedMS float64 `json:"waited_ms"`
	Ended    uint64  `json:"ended"`
	HeldMS   float64 `json:"held_ms"`
}

// add counts a worker's part.
func (r *ServiceRow) add(w *Worker, n *Names) {
	r.Workers++
	r.Slots += w.Load.Slots
	r.Max += w.Load.Max
	r.Used += w.Load.Used
	r.Ended += n.ended
	r.HeldMS += 1e3 * n.held.Seconds()
	r.WaitedMS += 1e3 * n.waited.Seconds()
}

// mean makes averages of sums; begun hits were given a slot.
func (r *ServiceRow) mean(begun uint64) {
	r.HeldMS /= float64(max(r.Ended, 1))
	r.WaitedMS /= float64(max(begun, 1))
}

// StatusReport is the answer to status.
type StatusReport struct {
	Broker      string            `json:"broker"`
	Incarnation string            `json:"incarnation"`
	UpMS        int64             `json:"up_ms"`
	Draining    bool              `json:"draining"`
	Clients     int               `json:"clients"`
	Workers     int               `json:"workers"`
	Hits        int               `json:"hits"`
	Zombies     int               `json:"zombies"` // threads of the workers' that did not come back
	Services    []ServiceRow      `json:"services"`
	Totals      Totals            `json:"totals"`
	Access      *AccessTotals     `json:"access,omitempty"`   // where peers have keys
	Counters    map[string]uint64 `json:"counters,omitempty"` // from BrokerConfig.Counters
}

// ActorName is set by the host: the name of a hit's actor.
type ActorName func(handle uint64) string

const maxPage = 1000

// admin answers ADMIN with REPORT.
func (b *Broker) admin(now time.Duration, m *wire.Message, fx []Effect) []Effect {
	var r AdminRequest
	err := json.Unmarshal(m.Frame(0), &r)
	if err == nil && r.Cmd == "whoami" {
		return append(fx, send(m.From, wire.Header{Type: wire.Report, Arg: m.Header.Arg}, mustJSON(b.whoami(m.From))))
	}
	if err == nil && r.Cmd == "members" { // whoever may open hits may know who is there
		return append(fx, send(m.From, wire.Header{Type: wire.Report, Arg: m.Header.Arg}, mustJSON(b.members(m, r))))
	}
	if c := b.clients[m.From]; err == nil && r.Cmd == "task.list" && r.Task != "" && c != nil && !c.left { // and of a task of its own how it stands
		if t := b.tasks.byKey[c.user+"\x00"+r.Task]; t != nil {
			rows := map[string]any{"tasks": []TaskRow{b.taskRow(now, t)}, "total": 1}
			return append(fx, send(m.From, wire.Header{Type: wire.Report, Arg: m.Header.Arg}, mustJSON(rows)))
		}
	}
	if !b.cfg.Admin {
		return refuse(fx, m, wire.Refused, "ADMIN is off at this broker: start it with --admin")
	}
	if err := b.mayAdmin(m.From); err != nil {
		return refuse(fx, m, wire.Refused, "%v", err)
	}
	if err != nil {
		return refuse(fx, m, wire.BadFrame, "ADMIN: the JSON frame cannot be read: %v", err)
	}
	if r.Cmd == "queue.clear" || r.Cmd == "queue.move" {
		answer, _, fx := b.beginJob(now, r, m.From, m.Header.Arg, fx)
		if answer == nil {
			return fx // it is told when it is done
		}
		return append(fx, send(m.From, wire.Header{Type: wire.Report, Arg: m.Header.Arg}, mustJSON(answer)))
	}
	if r.Cmd == "tree" {
		return b.survey(now, m, r, fx)
	}
	answer, fx := b.Administer(now, r, fx)
	return append(fx, send(m.From, wire.Header{Type: wire.Report, Arg: m.Header.Arg}, mustJSON(answer)))
}

// Administer carries out a request and returns what the report says.
func (b *Broker) Administer(now time.Duration, r AdminRequest, fx []Effect) (any, []Effect) {
	switch r.Cmd {
	case "status":
		return b.Status(now), fx
	case "hit.list":
		return b.listHits(now, r), fx
	case "worker.list":
		return map[string]any{"workers": b.listWorkers(now)}, fx
	case "hit.kill":
		return b.kill(r, fx)
	case "hit.alive":
		return b.hitAlive(now, r), fx
	case "worker.alive":
		return b.workerAlive(now, r), fx
	case "why":
		return b.listWhys(now, r), fx
	case "events":
		return b.listEvents(r), fx
	case "queue.list":
		return b.listQueues(now, r), fx
	case "queue.show":
		return b.showQueue(now, r), fx
	case "queue.remove":
		return b.removeItem(now, r, fx)
	case "queue.hold", "queue.release":
		return b.hold(now, r, r.Cmd == "queue.hold", fx)
	case "queue.clear", "queue.move":
		return b.administerJob(now, r, fx)
	case "task.list":
		return b.listTasks(now, r), fx
	case "task.cancel":
		return b.cancelTasks(now, r, fx)
	case "members":
		return b.Members(r), fx
	case "drain":
		return b.drainOne(now, r, fx)
	}
	return fail("unknown command %q: status, hit.list, hit.kill, hit.alive, worker.list, worker.alive, why, drain, members, task.list, task.cancel, queue.list, queue.show, queue.remove, queue.clear, queue.move, queue.hold, queue.release, events and, by ADMIN only, tree are known", r.Cmd), fx
}

func fail(format string, args ...any) map[string]string {
	return map[string]string{"error": fmt.Sprintf(format, args...)}
}

// Status returns the broker's figures.
func (b *Broker) Status(now time.Duration) StatusReport {
	r := StatusReport{
		Broker: b.cfg.Name, Incarnation: b.cfg.Incarnation, UpMS: now.Milliseconds(), Draining: b.draining,
		Clients: len(b.clients), Workers: len(b.workers), Hits: b.all.n, Totals: b.totals, Services: []ServiceRow{},
	}
	for _, w := range b.workers {
		r.Zombies += w.zombies
	}
	rows := make(map[*service]*ServiceRow)
	byName := make(map[string]*ServiceRow)
	begun := make(map[*ServiceRow]uint64)
	for _, s := range b.services {
		if byName[s.name] == nil {
			byName[s.name] = &ServiceRow{Name: s.name}
		}
		byName[s.name].Waiting += s.queue.n
		if s.key == s.name {
			rows[s] = byName[s.name]
		}
	}
	for _, w := range b.workers {
		for _, s := range w.services {
			row := rows[s]
			if row == nil {
				continue // the direct way of a service that is counted already
			}
			row.add(w, w.names[s.name])
			begun[row] += w.names[s.name].begun
		}
	}
	for _, row := range byName {
		row.mean(begun[row])
		r.Services = append(r.Services, *row)
	}
	if b.cfg.Book != nil {
		access := b.access
		r.Access = &access
	}
	if b.cfg.Counters != nil {
		r.Counters = b.cfg.Counters()
	}
	slices.SortFunc(r.Services, func(x, y ServiceRow) int { return strings.Compare(x.Name, y.Name) })
	return r
}

func (b *Broker) listHits(now time.Duration, r AdminRequest) any {
	at := b.all.first
	if r.After != "" {
		after, err := strconv.ParseUint(r.After, 16, 64)
		h := b.byHandle[after]
		if err != nil || h == nil {
			return fail("after: no hit has the handle %q: start without it", r.After)
		}
		at = h.links[ofAll].next
	}
	limit := r.Limit
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	rows := []HitRow{}
	for ; at != nil && len(rows) < limit; at = at.links[ofAll].next {
		rows = append(rows, b.hitRow(now, at))
	}
	return map[string]any{"hits": rows, "total": b.all.n, "more": at != nil}
}

func (b *Broker) hitRow(now time.Duration, h *Hit) HitRow {
	row := HitRow{
		Hit: fmt.Sprintf("%x", h.Handle), Service: h.names.Service, Label: h.Label(), State: h.stateWord(), Worker: h.names.Worker,
		Thread: h.Thread, Calls: h.Accepted, Waiting: h.Accepted - h.Answered, AgeMS: (now - h.Opened).Milliseconds(),
		Host: h.worker.Info.Host, PID: h.worker.Info.PID, Client: h.client.name, Key: b.keyName(h.client.peer),
		Route: "routed",
	}
	if h.direct != nil {
		row.Route, row.KiB = "direct", h.direct.kib
	}
	if k := h.keep; k != nil && k.index >= 0 {
		row.Client, row.LeftMS = k.holder, max((k.until-now).Milliseconds(), 1)
	}
	if b.cfg.ActorName != nil {
		row.Actor = b.cfg.ActorName(h.Handle)
	}
	return row
}

func (b *Broker) listWorkers(now time.Duration) []WorkerRow {
	rows := []WorkerRow{}
	for _, w := range b.workers {
		rows = append(rows, WorkerRow{
			Name: w.Name, State: w.State.String(), Host: w.Info.Host, PID: w.Info.PID, Lang: w.Info.Lang,
			Threads: w.Info.Threads, Services: w.Info.Services, Labels: w.Info.Labels, Slots: w.Load.Slots, Max: w.Load.Max, Used: w.Load.Used, Zombies: w.zombies, Served: w.Served, AgeMS: (now - w.Since).Milliseconds(), Key: b.keyName(w.Peer),
			Checked: (now - w.line.looked).Milliseconds(), Heard: (now - w.line.peer.Heard()).Milliseconds(),
			Limit: w.line.peer.Silence.Milliseconds(), Why: b.lastWhy(w.Name),
		})
	}
	slices.SortFunc(rows, func(x, y WorkerRow) int { return strings.Compare(x.Name, y.Name) })
	return rows
}

func (b *Broker) kill(r AdminRequest, fx []Effect) (any, []Effect) {
	handle, err := strconv.ParseUint(r.Hit, 16, 64)
	h := b.byHandle[handle]
	if err != nil || h == nil || h.State == Ended {
		return fail("no hit has the handle %q: see `troupe hit list`", r.Hit), fx
	}
	by := r.By
	if by == "" {
		by = "hit kill"
	}
	return map[string]any{"killed": r.Hit}, append(fx, Effect{Kind: Tell, Hit: h, Event: &Kill{By: by}})
}
