package machine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// scene is one hit in one state, with what the test needs to judge what follows an event.
type scene struct {
	*theatre
	*session
	refused int // refusals before the event
}

// waitingRef is the reference of the hit that waits.
const waitingRef = 77

// scenes puts a hit into each state of the table.
var scenes = map[string]func(t *theatre) *session{
	"waiting (no slot yet)": func(t *theatre) *session {
		c, w := t.client(), t.worker("w", 1)
		t.opened(t.client(), w, 1, 0)
		c.open(waitingRef)
		return &session{c: c, w: w, ref: waitingRef}
	},
	"opening":            func(t *theatre) *session { return t.begun(t.client(), t.worker("w", 1), 5, 0) },
	"opening a one-shot": func(t *theatre) *session { return t.begun(t.client(), t.worker("w", 1), 5, oneShot) },
	"open": func(t *theatre) *session {
		h := t.opened(t.client(), t.worker("w", 1), 5, 0)
		h.call(1, 0)
		h.w.expect(wire.Call)
		return h
	},
	"aborting": func(t *theatre) *session {
		h := t.begun(t.client(), t.worker("w", 1), 5, wire.First)
		h.byRef(wire.Header{Type: wire.Close})
		h.w.expect(wire.Cancel)
		h.w.expect(wire.End)
		return h
	},
	"closing": func(t *theatre) *session {
		h := t.opened(t.client(), t.worker("w", 1), 5, 0)
		h.call(1, 0)
		h.w.expect(wire.Call)
		h.client(wire.Header{Type: wire.Close})
		h.w.expect(wire.End)
		return h
	},
	"over": func(t *theatre) *session {
		h := t.opened(t.client(), t.worker("w", 1), 5, 0)
		h.worker(wire.Header{Type: wire.Ended})
		h.c.expect(wire.Closed)
		return h
	},
}

// happenings are the columns of the table.
var happenings = map[string]func(h *session, byRef bool){
	"CALL": func(h *session, _ bool) {
		seq := uint32(1)
		if h.state() == "open" {
			seq = 2
		}
		h.call(seq, 0)
	},
	"CANCEL": func(h *session, byRef bool) { say(h, byRef, wire.Header{Type: wire.Cancel, Seq: 0}) },
	"CLOSE":  func(h *session, byRef bool) { say(h, byRef, wire.Header{Type: wire.Close}) },
	"OPENED": func(h *session, _ bool) { h.worker(wire.Header{Type: wire.Opened, Arg: 4712}) },
	"REPLY":  func(h *session, last bool) { h.reply(1, lastIf(last)) },
	"ERROR": func(h *session, last bool) {
		h.worker(wire.Header{Type: wire.Error, Flags: lastIf(last), Status: wire.ServiceError, Seq: 1}, "no")
	},
	"ENDED":       func(h *session, _ bool) { h.worker(wire.Header{Type: wire.Ended, Status: wire.Panicked}, "it crashed") },
	"client lost": func(h *session, _ bool) { h.c.vanish() },
	"worker lost": func(h *session, _ bool) { h.w.vanish() },
}

func lastIf(oneshot bool) wire.Flags {
	if oneshot {
		return wire.Last
	}
	return 0
}

func say(h *session, byRef bool, head wire.Header) {
	if byRef {
		h.byRef(head)
	} else {
		h.client(head)
	}
}

// The state table of the specification, cell by cell: what the cell says is what happens, and nothing else does.
func TestStateTable(t *testing.T) {
	table := stateTable(t)
	require.Len(t, table, len(scenes))
	for state, row := range table {
		require.Len(t, row, len(happenings))
		for column, cell := range row {
			if cell == "" {
				quote(t, "An empty cell cannot come about")
				continue
			}
			t.Run(state+"/"+column, func(t *testing.T) {
				require.Contains(t, scenes, state)
				require.Contains(t, happenings, column)
				s := newTheatre(t, config())
				sc := &scene{theatre: s, session: scenes[state](s)}
				sc.c.silent()
				sc.w.silent()
				sc.refused = total(s.counts[:])
				before := sc.state()
				byRef := strings.HasPrefix(state, "waiting") || strings.HasPrefix(state, "opening") || state == "aborting"
				switch column {
				case "REPLY", "ERROR":
					byRef = state == "opening a one-shot"
				}
				happenings[column](sc.session, byRef)
				sc.judge(t, column, cell, before)
			})
		}
	}
}

func total(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// fromWorker are the columns whose event the worker brings about.
var fromWorker = []string{"OPENED", "REPLY", "ERROR", "ENDED", "worker lost"}

// judge checks word for word what a cell says.
func (sc *scene) judge(t *testing.T, column, cell, state string) {
	t.Helper()
	sender, other := sc.c, sc.w
	if slices.Contains(fromWorker, column) {
		sender, other = sc.w, sc.c
	}
	for word := range strings.SplitSeq(cell, ", ") {
		switch word {
		case "-":
			quote(t, "`-` has no effect")
		case "pass on":
			m := other.next()
			require.Equal(t, column, m.Header.Type.String())
			require.Equal(t, map[bool]wire.Flags{true: wire.Ref | wire.Last}[m.Header.Flags.Has(wire.Last)], m.Header.Flags)
		case "CANCEL":
			require.Zero(t, sc.w.expect(wire.Cancel).Header.Seq)
		case "END":
			sc.w.expect(wire.End)
		case "ERROR cancelled":
			sc.c.expectError(wire.Cancelled, wire.NeverStarted, "while it waited")
		case "ERROR":
			m := sc.c.expect(wire.Error)
			require.True(t, m.Header.Flags.Has(wire.Ref))
			require.Equal(t, sc.ref, m.Header.Hit)
			sc.saidWhy(t, column, m)
		case "CLOSED":
			m := sc.c.expect(wire.Closed)
			if column == "CLOSE" {
				require.Equal(t, wire.UnknownHit, m.Header.Status)
			} else {
				sc.saidWhy(t, column, m)
			}
		case "open", "aborting", "closing", "over":
			state = word
			if word == "open" {
				require.Equal(t, sc.ref, sc.c.expect(wire.Opened).Header.Hit)
			}
		default:
			status, known := wire.ParseStatus(word)
			require.True(t, known, "the cell says %q, which the test does not understand", word)
			sender.expectError(status, wire.NeverStarted)
			require.Equal(t, sc.refused+1, total(sc.counts[:]), "the refusal is counted once")
		}
	}
	sc.c.silent()
	sc.w.silent()
	sc.after(t, column, cell, state)
}

func (sc *scene) saidWhy(t *testing.T, column string, m *wire.Message) {
	t.Helper()
	quote(t, `ERROR and CLOSED in the columns of ENDED and "worker lost" carry the worker's status and `+"`worker-gone`.")
	want := map[string]wire.Status{"worker lost": wire.WorkerGone, "ERROR": wire.ServiceError, "ENDED": wire.Panicked}[column]
	require.Equal(t, want, m.Header.Status)
	require.NotEmpty(t, m.Frame(0))
}

// after checks the state, and that a slot is taken exactly as long as the worker has the session.
func (sc *scene) after(t *testing.T, column, cell, state string) {
	t.Helper()
	if sc.ref == waitingRef {
		require.Equal(t, !strings.HasSuffix(cell, "over"), len(sc.broker.Waiting("echo")) == 1)
		return
	}
	require.Equal(t, state, sc.state())
	if column != "worker lost" {
		require.Equal(t, map[bool]int{true: 0, false: 1}[state == "over"], sc.used())
	}
}
