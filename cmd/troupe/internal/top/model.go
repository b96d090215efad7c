// Package top is the live view of a broker: a pure model of what is on the screen, and of what keys do to it.
package top

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/actors/machine"
)

// Snapshot is what the broker has said at one time.
type Snapshot struct {
	At      time.Time            `json:"at"`
	Status  machine.StatusReport `json:"status"`
	Workers []machine.WorkerRow  `json:"workers"`
	Events  []machine.Event      `json:"events"`          // since the snapshot before
	Error   string               `json:"error,omitempty"` // why there is none; the rest is what was known last
}

// Order names what rows are ordered by.
type Order int

// The orders of workers.
const (
	ByName Order = iota
	ByUse
	ByRate
)

var orderNames = [...]string{"name", "use", "rate"}

// Mode is what keys mean.
type Mode int

// The modes.
const (
	Looking Mode = iota
	Filtering
	Confirming // that a worker is to be drained
	Reading    // the records about a worker
)

// Ask is what the host is to do after a key.
type Ask struct {
	Quit  bool
	Drain string // a worker
	Why   string // a worker
}

// Model is what is on the screen. Its zero value, with a size, is an empty screen.
type Model struct {
	Width, Height int
	Plain         bool // no colours

	now    Snapshot
	opened float64            // hits per second, between the last two snapshots
	rates  map[string]float64 // the same of each worker, by name
	events []machine.Event
	order  Order
	filter string
	mode   Mode
	at     int // the selected worker
	note   string
	text   []string // while Reading
}

// kept is how many events the screen remembers.
const kept = 200

// Take takes a snapshot.
func (m *Model) Take(s Snapshot) {
	if s.Error != "" {
		m.now.Error = s.Error
		return
	}
	m.measure(s)
	m.now = s
	m.events = append(m.events, s.Events...)
	if n := len(m.events) - kept; n > 0 {
		m.events = m.events[n:]
	}
	m.at = min(m.at, max(len(m.workers())-1, 0))
}

// Note shows a line until the next key.
func (m *Model) Note(text string) { m.note = text }

// Read shows a text until a key is pressed.
func (m *Model) Read(text string) {
	m.mode, m.text = Reading, strings.Split(strings.TrimRight(text, "\n"), "\n")
}

// Key takes a key, by bubbletea's name for it.
func (m *Model) Key(key string) Ask {
	m.note = ""
	switch m.mode {
	case Filtering:
		m.filterKey(key)
		return Ask{}
	case Confirming:
		m.mode = Looking
		if key == "y" {
			return Ask{Drain: m.selected()}
		}
		return Ask{}
	case Reading:
		m.mode, m.text = Looking, nil
		return Ask{Quit: key == "ctrl+c"}
	case Looking:
	}
	return m.lookKey(key)
}

func (m *Model) filterKey(key string) {
	switch {
	case key == "enter":
		m.mode = Looking
	case key == "esc" || key == "ctrl+c":
		m.mode, m.filter = Looking, ""
	case key == "backspace" && m.filter != "":
		m.filter = m.filter[:len(m.filter)-1]
	case key == "space":
		m.filter += " "
	case len(key) == 1 && key[0] > ' ' && key[0] <= '~':
		m.filter += key
	}
	m.at = min(m.at, max(len(m.workers())-1, 0))
}

func (m *Model) lookKey(key string) Ask {
	switch key {
	case "q", "ctrl+c", "esc":
		return Ask{Quit: true}
	case "up", "k":
		m.at = max(m.at-1, 0)
	case "down", "j":
		m.at = min(m.at+1, max(len(m.workers())-1, 0))
	case "s":
		m.order = (m.order + 1) % Order(len(orderNames))
	case "/":
		m.mode = Filtering
	case "d":
		if m.selected() != "" {
			m.mode = Confirming
		}
	case "w", "enter":
		return Ask{Why: m.selected()}
	}
	return Ask{}
}

// selected returns the name of the selected worker, empty if there is none.
func (m *Model) selected() string {
	if all := m.workers(); m.at < len(all) {
		return all[m.at].Name
	}
	return ""
}

// workers returns those that the filter lets through, in order.
func (m *Model) workers() []machine.WorkerRow {
	var all []machine.WorkerRow
	for _, w := range m.now.Workers {
		if m.filter == "" || strings.Contains(strings.ToLower(w.Name+" "+w.State+" "+w.Host+" "+strings.Join(w.Services, " ")+" "+w.Why), strings.ToLower(m.filter)) {
			all = append(all, w)
		}
	}
	slices.SortStableFunc(all, func(x, y machine.WorkerRow) int {
		switch m.order {
		case ByUse:
			return cmp.Or(cmp.Compare(use(y), use(x)), strings.Compare(x.Name, y.Name))
		case ByName:
		case ByRate:
			return cmp.Or(cmp.Compare(m.rates[y.Name], m.rates[x.Name]), strings.Compare(x.Name, y.Name))
		}
		return strings.Compare(x.Name, y.Name)
	})
	return all
}

func use(w machine.WorkerRow) float64 { return float64(w.Used) / float64(max(w.Slots, 1)) }

// measure compares a snapshot with the one before.
func (m *Model) measure(next Snapshot) {
	m.opened, m.rates = 0, make(map[string]float64)
	seconds := next.At.Sub(m.now.At).Seconds()
	if m.now.At.IsZero() || seconds <= 0 {
		return
	}
	before := make(map[string]machine.WorkerRow)
	for _, w := range m.now.Workers {
		before[w.Name] = w
	}
	for _, w := range next.Workers {
		if b, there := before[w.Name]; there && b.PID == w.PID && w.Served >= b.Served {
			m.rates[w.Name] = float64(w.Served-b.Served) / seconds
		}
	}
	if n, b := next.Status.Totals.Opened, m.now.Status.Totals.Opened; n > b {
		m.opened = float64(n-b) / seconds
	}
}
