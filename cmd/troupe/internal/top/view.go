package top

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/actors/machine"
)

// View returns the screen, line by line, none longer than the width.
func (m *Model) View() []string {
	if m.mode == Reading {
		return m.fit(append(append([]string{}, m.text...), "", m.faint("any key goes back")), m.Height)
	}
	lines := m.head()
	lines = append(lines, "", m.serviceHead())
	services := m.now.Status.Services
	room := max((m.Height-12)/3, 3)
	for i, s := range services {
		if i == room {
			lines = append(lines, m.faint(fmt.Sprintf("and %d more services", len(services)-i)))
			break
		}
		lines = append(lines, m.service(s))
	}
	lines = append(lines, "")
	space := m.Height - len(lines) - 2 // for workers and events
	lines = append(lines, m.workerLines(max(min(len(m.workers())+1, space-max(space/3, 2)), 2))...)
	lines = append(lines, "")
	lines = append(lines, m.eventLines(max(m.Height-len(lines)-1, 2))...)
	for len(lines) < m.Height-1 {
		lines = append(lines, "")
	}
	return m.fit(append(lines[:min(len(lines), max(m.Height-1, 0))], m.foot()), m.Height)
}

// All returns everything that a screen of any size could show.
func (m *Model) All() []string {
	m.Width = 0
	lines := append(m.head(), "", m.serviceHead())
	for _, s := range m.now.Status.Services {
		lines = append(lines, m.service(s))
	}
	lines = append(append(lines, ""), m.workerLines(len(m.now.Workers)+1)...)
	return append(append(lines, ""), m.eventLines(kept)...)
}

func (m *Model) serviceHead() string {
	return m.bold(fmt.Sprintf("%-24s %8s %11s %8s %10s", "SERVICE", "WORKERS", "SLOTS", "WAITING", "USE"))
}

func (m *Model) head() []string {
	s := m.now.Status
	first := fmt.Sprintf("%s  up %s  clients %d  workers %d  hits %d  %.0f hits/s", cmp.Or(s.Broker, "broker"), span(s.UpMS), s.Clients, s.Workers, s.Hits, m.opened)
	if s.Draining {
		first += "  DRAINING"
	}
	if m.now.Error != "" {
		first = m.red("not reached: " + m.now.Error)
	}
	second := fmt.Sprintf("hits failed %d  expired %d  moved %d  workers lost %d  zombies %d", s.Totals.Failed, s.Totals.Expired, s.Totals.Moved, s.Totals.Lost, s.Zombies)
	return []string{first, second}
}

func (m *Model) service(s machine.ServiceRow) string {
	line := fmt.Sprintf("%-24s %8d %11s %8d %10s", cut(s.Name, 24), s.Workers, fmt.Sprintf("%d/%d", s.Used, s.Slots), s.Waiting, bar(s.Used, s.Slots))
	switch {
	case s.Workers == 0:
		return m.red(line + "  nobody offers it")
	case s.Waiting > 0:
		return m.yellow(line)
	}
	return line
}

func (m *Model) workerLines(room int) []string {
	all := m.workers()
	title := fmt.Sprintf("%-24s %-10s %9s %9s %8s %8s  %s", "WORKER by "+orderNames[m.order], "STATE", "SLOTS", "HITS/S", "HEARD", "PID", "WHY")
	lines := []string{m.bold(title)}
	from := max(0, min(m.at-(room-2)/2, len(all)-(room-1)))
	for i := from; i < len(all) && len(lines) < room; i++ {
		w := all[i]
		line := fmt.Sprintf("%-24s %-10s %9s %9.0f %8s %8d  %s", cut(w.Name, 24), w.State, fmt.Sprintf("%d/%d", w.Used, w.Slots), m.rates[w.Name], span(w.Heard), w.PID, clean(w.Why))
		switch {
		case i == m.at:
			line = m.reverse(fmt.Sprintf("%-*s", m.Width, line))
		case w.State != "serving":
			line = m.yellow(line)
		}
		lines = append(lines, line)
	}
	if len(all) == 0 {
		lines = append(lines, m.faint("no worker, or none that the filter lets through"))
	}
	return lines
}

func (m *Model) eventLines(room int) []string {
	lines := []string{m.bold("EVENTS")}
	for _, e := range m.events[max(len(m.events)-room+1, 0):] {
		what := strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s", e.Worker, e.Service, e.Hit, e.Verdict, clean(e.Text))), " ")
		line := fmt.Sprintf("%8s ago  %-18s %s", span(max(m.now.Status.UpMS-e.AtMS, 0)), e.Kind, what)
		if e.Verdict != "" && e.Verdict != "HEALTHY" {
			line = m.red(line)
		}
		lines = append(lines, line)
	}
	return lines
}

func (m *Model) foot() string {
	switch {
	case m.mode == Filtering:
		return "filter: " + m.filter + "_   enter keeps it, esc forgets it"
	case m.mode == Confirming:
		return m.yellow("drain " + m.selected() + "? it takes no new hits, open ones go on: y does it, any other key does not")
	case m.note != "":
		return m.yellow(m.note)
	}
	text := "q quit  s sort  / filter  arrows select  w why  d drain"
	if m.filter != "" {
		text += "   filter: " + m.filter
	}
	return m.faint(text)
}

// bar shows use in ten characters.
func bar(used, slots int) string {
	n := 0
	if slots > 0 {
		n = (10*used + slots - 1) / slots
	}
	return strings.Repeat("#", min(n, 10)) + strings.Repeat(".", 10-min(n, 10))
}

// span is a number of milliseconds in one unit.
func span(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", ms)
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%dh", d/time.Hour)
}

// clean is a text of others that cannot break the screen, a column for each byte.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

func cut(s string, n int) string {
	if s = clean(s); len(s) > n {
		return s[:n-1] + "~"
	}
	return s
}

func (m *Model) bold(s string) string    { return m.style("1", s) }
func (m *Model) faint(s string) string   { return m.style("2", s) }
func (m *Model) reverse(s string) string { return m.style("7", s) }
func (m *Model) red(s string) string     { return m.style("31", s) }
func (m *Model) yellow(s string) string  { return m.style("33", s) }

// style cuts a line to the width before it is dressed.
func (m *Model) style(code, s string) string {
	if m.Width > 0 && len(s) > m.Width {
		s = s[:m.Width]
	}
	if m.Plain {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// fit cuts lines that are not dressed, and all that is too much.
func (m *Model) fit(lines []string, height int) []string {
	for i, l := range lines {
		if m.Width > 0 && len(l) > m.Width && !strings.HasPrefix(l, "\x1b[") {
			lines[i] = l[:m.Width]
		}
	}
	return lines[:min(len(lines), max(height, 0))]
}
