package top

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
)

func snapshot(second int, served uint64) Snapshot {
	return Snapshot{
		At: time.Unix(1_000_000, 0).Add(time.Duration(second) * time.Second),
		Status: machine.StatusReport{
			Broker: "b1", UpMS: int64(60_000 + 1000*second), Clients: 2, Workers: 2, Hits: 3, Totals: machine.Totals{Opened: 10 * served, Lost: 1},
			Services: []machine.ServiceRow{{Name: "render", Workers: 2, Slots: 12, Used: 3, Waiting: 4}, {Name: "gone"}},
		},
		Workers: []machine.WorkerRow{
			{Name: "alpha", State: "serving", Slots: 8, Used: 1, PID: 11, Served: served, Services: []string{"render"}, Heard: 120},
			{Name: "beta", State: "leaving", Slots: 4, Used: 2, PID: 12, Served: 7, Host: "web2", Why: "STUCK: no sign\x1b[31m for 10s"},
		},
		Events: []machine.Event{{Seq: uint64(second), AtMS: int64(60_000 + 1000*second), Kind: "worker.lost", Worker: "gamma", Verdict: "GONE", Text: "closed"}},
	}
}

func model(width, height int) *Model {
	m := &Model{Width: width, Height: height, Plain: true}
	m.Take(snapshot(1, 100))
	m.Take(snapshot(2, 150))
	return m
}

func TestTheScreen(t *testing.T) {
	want := strings.Split(strings.TrimPrefix(`
b1  up 1m  clients 2  workers 2  hits 3  500 hits/s
hits failed 0  expired 0  moved 0  workers lost 1  zombies 0

SERVICE                   WORKERS       SLOTS  WAITING        USE
render                          2        3/12        4 ###.......
gone                            0         0/0        0 ..........  nobody offers it

WORKER by name           STATE          SLOTS    HITS/S    HEARD      PID  WHY
alpha                    serving          1/8        50    120ms       11
beta                     leaving          2/4         0      0ms       12  STUCK: no sign?[31m for 10s

EVENTS
    1.0s ago  worker.lost        gamma GONE closed
     0ms ago  worker.lost        gamma GONE closed


q quit  s sort  / filter  arrows select  w why  d drain`, "\n"), "\n")
	got := model(110, 17).View()
	for i := range got {
		got[i] = strings.TrimRight(got[i], " ")
	}
	require.Equal(t, want, got)
}

func TestTheScreenFits(t *testing.T) {
	for _, plain := range []bool{true, false} {
		for width := 1; width < 130; width += 7 {
			for height := 1; height < 40; height += 3 {
				m := model(width, height)
				m.Plain = plain
				view := m.View()
				require.LessOrEqual(t, len(view), height)
				for _, l := range view {
					for _, code := range []string{"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[7m", "\x1b[31m", "\x1b[33m"} {
						l = strings.ReplaceAll(l, code, "")
					}
					require.LessOrEqual(t, len(l), width)
					require.NotContains(t, l, "\x1b", "what others chose is cleaned")
				}
			}
		}
	}
}

func TestKeys(t *testing.T) {
	m := model(100, 30)
	require.Equal(t, Ask{Why: "alpha"}, m.Key("w"))
	m.Key("down")
	m.Key("down")
	require.Equal(t, Ask{Why: "beta"}, m.Key("enter"))
	m.Read("STUCK\n  because")
	require.Contains(t, m.View(), "  because")
	m.Key("x")
	require.NotContains(t, m.View(), "  because")
	require.Equal(t, Ask{}, m.Key("d"))
	require.Contains(t, strings.Join(m.View(), "\n"), "drain beta?")
	require.Equal(t, Ask{}, m.Key("n"))
	m.Key("d")
	require.Equal(t, Ask{Drain: "beta"}, m.Key("y"))
	m.Key("s") // by use: beta has half of its slots taken
	require.Equal(t, "beta", m.workers()[0].Name)
	m.Key("s") // by rate
	require.Equal(t, "alpha", m.workers()[0].Name)
	for _, k := range []string{"/", "w", "e", "b", "3", "backspace", "2"} {
		m.Key(k)
	}
	require.Len(t, m.workers(), 1)
	require.Contains(t, strings.Join(m.View(), "\n"), "filter: web2_")
	m.Key("enter")
	require.Equal(t, Ask{Why: "beta"}, m.Key("w"))
	m.Key("/")
	m.Key("esc")
	require.Len(t, m.workers(), 2)
	m.Take(Snapshot{Error: "no answer"})
	require.Contains(t, strings.Join(m.View(), "\n"), "not reached: no answer")
	require.Len(t, m.workers(), 2, "what was known last is shown")
	m.Note("drained")
	require.Contains(t, strings.Join(m.View(), "\n"), "drained")
	require.True(t, m.Key("q").Quit)
	require.True(t, (&Model{}).Key("ctrl+c").Quit)
	require.Equal(t, Ask{}, (&Model{}).Key("d"), "there is nobody to drain")
}
