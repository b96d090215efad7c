package machine_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/patterns/assigner/machine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quote proves that the specification says what a test is about.
func quote(t *testing.T, text string) {
	t.Helper()
	spec, err := os.ReadFile("../../../docs/protocol/hit.md")
	require.NoError(t, err)
	flat := strings.Join(strings.Fields(string(spec)), " ")
	require.Contains(t, flat, text, "hit.md says something else now")
}

const (
	at    = time.Minute // when all events of the table happen
	retry = 250 * time.Millisecond
)

// peers are registrations in every state they can be in, with a broker whose incarnation is "one" where there was one.
var peers = map[string]func() *machine.Registration{
	"greeting": greeting,
	"welcomed": func() *machine.Registration { return after(greeting(), welcome("one")) },
	"greeting again": func() *machine.Registration {
		return after(greeting(), welcome("one"), gone)
	},
	"waiting": func() *machine.Registration { return after(greeting(), refuse(wire.Draining)) },
	"left":    func() *machine.Registration { return after(greeting(), welcome("one"), bye) },
	"refused": func() *machine.Registration { return after(greeting(), refuse(wire.NameTaken)) },
}

type event func(*machine.Registration) []machine.Action

func greeting() *machine.Registration {
	r := &machine.Registration{}
	r.Start()
	return r
}

func after(r *machine.Registration, events ...event) *machine.Registration {
	for _, e := range events {
		e(r)
	}
	return r
}

func welcome(incarnation string) event {
	return func(r *machine.Registration) []machine.Action {
		return r.Welcome(wire.WelcomeInfo{Incarnation: incarnation})
	}
}

func refuse(s wire.Status) event {
	return func(r *machine.Registration) []machine.Action { return r.Refuse(at, s, "because") }
}

func gone(r *machine.Registration) []machine.Action { return r.Gone("unplugged") }
func bye(r *machine.Registration) []machine.Action  { return r.Bye(at) }

func tick(now time.Duration) event {
	return func(r *machine.Registration) []machine.Action { return r.Tick(now) }
}

type reaction struct {
	actions  []machine.Action
	state    machine.State
	deadline time.Duration
}

func do(s machine.State, actions ...machine.Action) reaction { return reaction{actions, s, 0} }
func due(s machine.State, actions ...machine.Action) reaction {
	return reaction{actions, s, at + retry}
}

const (
	greet, usable, lost, reopen, fail        = machine.Greet, machine.Usable, machine.Lost, machine.Reopen, machine.Fail
	isGreeting, isWelcomed, waits, isRefused = machine.Greeting, machine.Welcomed, machine.Waiting, machine.Refused
)

// table says what every event does in every state; what is not listed changes nothing.
var table = map[string]struct {
	event event
	rule  string // of hit.md, section 6
	does  map[string]reaction
}{
	"welcome": {
		welcome("one"), "`name` is the peer's name as the broker knows it.",
		map[string]reaction{
			"greeting": do(isWelcomed, usable), "greeting again": do(isWelcomed, usable), "waiting": do(isWelcomed, usable), "left": do(isWelcomed, usable),
		},
	},
	"welcome of another incarnation": {
		welcome("two"), "A peer that sees another incarnation than before SHALL treat its hits as lost",
		map[string]reaction{
			"greeting": do(isWelcomed, usable), "welcomed": do(isWelcomed, lost, usable), "waiting": do(isWelcomed, usable),
			"greeting again": do(isWelcomed, usable), "left": do(isWelcomed, usable), // their hits were lost before
		},
	},
	"not registered": {
		refuse(wire.NotRegistered), "or ERROR `not-registered` after its restart, whereupon the peer starts again with HELLO or READY.",
		map[string]reaction{"welcomed": do(isGreeting, lost, greet)},
	},
	"draining": {
		refuse(wire.Draining), "A HELLO or READY that was refused registers nobody.",
		map[string]reaction{"greeting": due(waits), "greeting again": due(waits)},
	},
	"name taken": {
		refuse(wire.NameTaken), "Who claims the name meanwhile gets `name-taken`.",
		map[string]reaction{"greeting": do(isRefused, fail), "greeting again": do(isRefused, fail)},
	},
	"refused": {
		refuse(wire.Refused), "", // section 11: who is refused at HELLO or READY does not try again by itself
		map[string]reaction{"greeting": do(isRefused, fail), "greeting again": do(isRefused, fail)},
	},
	"bad frame": {
		refuse(wire.BadFrame), "A HELLO or READY that was refused registers nobody.",
		map[string]reaction{"greeting": do(isRefused, fail), "greeting again": do(isRefused, fail)},
	},
	"another error": {refuse(wire.QueueFull), "", nil},
	"gone": {
		gone, "A connection that is lost loses its hits",
		map[string]reaction{
			"greeting": do(isGreeting, lost, greet), "greeting again": do(isGreeting, lost, greet), "welcomed": do(isGreeting, lost, greet),
			"waiting": do(isGreeting, lost, greet), "left": do(isGreeting, lost, greet),
		},
	},
	"bye": {
		bye, "BYE from the broker: it leaves; start again when it is back.",
		map[string]reaction{"greeting": due(waits), "greeting again": due(waits), "welcomed": due(waits, lost), "waiting": due(waits)},
	},
	"too early": {tick(at + retry - 1), "", nil},
	"deadline": {
		tick(at + retry), "start again when it is back.",
		map[string]reaction{"waiting": do(isGreeting, greet), "left": do(waits, reopen)},
	},
}

func TestEveryEventInEveryState(t *testing.T) {
	for name, row := range table {
		for peer, build := range peers {
			t.Run(name+"/"+peer, func(t *testing.T) {
				quote(t, row.rule)
				r := build()
				want, listed := row.does[peer]
				if !listed {
					want = reaction{nil, r.State, r.Deadline()}
				}
				require.Equal(t, want, reaction{row.event(r), r.State, r.Deadline()}, "actions, state, deadline")
			})
		}
	}
}

func TestReasons(t *testing.T) {
	r := after(greeting(), welcome("one"), gone)
	require.Equal(t, "unplugged", r.Reason)
	refuse(wire.NameTaken)(r)
	require.Equal(t, "because", r.Reason)
	require.Equal(t, wire.NameTaken, r.Status)
	require.Equal(t, "the broker said BYE", after(greeting(), bye).Reason)
}

// A broker that has left without a trace (inproc) is looked for again, on a fresh connection, until one answers.
func TestTheWayBackAfterBye(t *testing.T) {
	quote(t, "BYE from the broker: it leaves; start again when it is back.")
	r := after(greeting(), welcome("one"))
	require.Equal(t, []machine.Action{lost}, bye(r))
	require.Empty(t, bye(r), "said twice")
	require.Equal(t, []machine.Action{reopen}, tick(at+retry)(r))
	require.Zero(t, r.Deadline())
	require.Equal(t, []machine.Action{lost, greet}, gone(r), "of the connection that was replaced")
	require.Equal(t, []machine.Action{usable}, welcome("two")(r))
	require.Equal(t, "two", r.Incarnation)
}

func TestTheRetryCanBeChosen(t *testing.T) {
	r := &machine.Registration{Retry: time.Hour}
	require.Equal(t, []machine.Action{greet}, r.Start())
	refuse(wire.Draining)(r)
	require.Equal(t, at+time.Hour, r.Deadline())
}

func TestStatesHaveNames(t *testing.T) {
	for s, want := range map[machine.State]string{isGreeting: "greeting", isWelcomed: "welcomed", waits: "waiting", isRefused: "refused"} {
		require.Equal(t, want, s.String())
	}
}
