package resume_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/test/e2e/internal/rig"
)

func TestMain(m *testing.M) { rig.Main(m, map[string]rig.Role{"holder": holderRole}) }

// holder is a client in a process of its own that holds one hit. It is told line by line what to do: open MS, call BODY, ticket, resume TICKET, close. What comes of it are lines, too; testdata/holder.py does the same.
type holder struct {
	t *testing.T
	*rig.Process
	news map[string]string // what became of calls, by body: those that were told of before they were asked for
}

type holderConfig struct{ Broker string }

func goHolder(t *testing.T, broker string) *holder {
	t.Helper()
	return &holder{t, rig.Spawn(t, "holder", holderConfig{broker}), make(map[string]string)}
}

func pythonHolder(t *testing.T, broker string) *holder {
	t.Helper()
	return &holder{t, rig.Python(t, "testdata/holder.py", broker), make(map[string]string)}
}

// open opens a hit and returns its thread.
func (h *holder) open(keep time.Duration) int {
	h.t.Helper()
	h.Say(fmt.Sprintf("open %d", keep.Milliseconds()))
	thread, err := strconv.Atoi(h.Await("opened "))
	require.NoError(h.t, err)
	return thread
}

func (h *holder) call(body string) { h.t.Helper(); h.Say("call " + body) }

// replied requires that this call has this reply.
func (h *holder) replied(body, reply string) {
	h.t.Helper()
	require.Equal(h.t, "replied "+reply, h.of(body))
}

// failed requires that this call has failed so.
func (h *holder) failed(body, status string, o assigner.Outcome) {
	h.t.Helper()
	require.Equal(h.t, fmt.Sprintf("failed %s %d", status, o), h.of(body))
}

// of waits for what became of a call. The threads of a process tell that in any order.
func (h *holder) of(body string) string {
	h.t.Helper()
	for h.news[body] == "" {
		line := strings.SplitN(h.Await(""), " ", 3)
		require.Len(h.t, line, 3)
		require.Empty(h.t, h.news[line[1]], "call %s has ended twice", line[1])
		h.news[line[1]] = line[0] + " " + line[2]
	}
	defer delete(h.news, body)
	return h.news[body]
}

func (h *holder) ticket() string {
	h.t.Helper()
	h.Say("ticket")
	return h.Await("ticket ")
}

// resume takes a hit up, and returns how many calls it inherits.
func (h *holder) resume(ticket string) int {
	h.t.Helper()
	h.Say("resume " + ticket)
	n, err := strconv.Atoi(h.Await("resumed "))
	require.NoError(h.t, err)
	return n
}

// refused tries to take a hit up, which must fail with this status and outcome; the text is returned.
func (h *holder) refused(ticket, status string) string {
	h.t.Helper()
	h.Say("resume " + ticket)
	got, text, _ := strings.Cut(h.Await("refused "), " ")
	require.Equal(h.t, status, got, text)
	return text
}

// void requires that there is nothing to take up any more: as long as the end was not acknowledged, it is told again to who resumes.
func (h *holder) void(ticket string) {
	h.t.Helper()
	for range 1000 {
		h.Say("resume " + ticket)
		line := h.Await("re")
		if strings.Contains(line, "holds the hit already") {
			continue // it was told the end again, and has not come to that yet
		}
		if strings.HasPrefix(line, "fused ") {
			require.True(h.t, strings.HasPrefix(line, "fused unknown-hit "), "re"+line)
			return
		}
	}
	require.FailNow(h.t, "the ticket of a closed hit is good for ever")
}

func (h *holder) close() {
	h.t.Helper()
	h.Say("close")
	h.Await("closed")
}

// holderRole is the holder in Go.
func holderRole(ctx context.Context, stage *rig.Stage) error {
	var cfg holderConfig
	if err := stage.Config(&cfg); err != nil {
		return err
	}
	c, err := assigner.Dial(ctx, assigner.ClientConfig{Broker: cfg.Broker})
	if err != nil {
		return err
	}
	k := &keeper{ctx: ctx, stage: stage, client: c}
	for line := range stage.Heard() {
		word, rest, _ := strings.Cut(line, " ")
		k.do(word, rest)
	}
	return nil
}

// keeper does what a holder is told.
type keeper struct {
	ctx    context.Context
	stage  *rig.Stage
	client *assigner.Client
	hit    *assigner.Hit
}

func (k *keeper) do(word, rest string) {
	switch word {
	case "open":
		ms, _ := strconv.Atoi(rest)
		h, err := k.client.OpenWith(k.ctx, assigner.OpenRequest{Service: "count", Resume: time.Duration(ms) * time.Millisecond})
		if k.hit = h; err != nil {
			k.stage.Say("refused %v", err)
			return
		}
		k.stage.Say("opened %d", h.Thread())
	case "call":
		go func() {
			reply, err := k.hit.Call(k.ctx, []byte(rest))
			k.tell(rest, reply, err)
		}()
	case "ticket":
		text, err := k.hit.Ticket()
		k.stage.Say("ticket %s", or(text, err))
	case "resume":
		k.resume(rest)
	case "close":
		k.stage.Say("closed %v", k.hit.Close(k.ctx))
	}
}

func or(text string, err error) string {
	if err != nil {
		return err.Error()
	}
	return text
}

func (k *keeper) tell(body string, reply []byte, err error) {
	var e *assigner.Error
	switch {
	case err == nil:
		k.stage.Say("replied %s %s", body, reply)
	case errors.As(err, &e):
		k.stage.Say("failed %s %v %d", body, e.Status, e.Outcome)
	default:
		k.stage.Say("failed %s %v", body, err)
	}
}

// resume takes a hit up; the answers to inherited calls are told as those to #SEQ.
func (k *keeper) resume(ticket string) {
	h, err := k.client.Resume(k.ctx, ticket)
	var e *assigner.Error
	if errors.As(err, &e) {
		k.stage.Say("refused %v %s", e.Status, e.Text)
		return
	}
	if err != nil {
		k.stage.Say("refused bad-ticket %v", err)
		return
	}
	k.hit = h
	k.stage.Say("resumed %d", len(h.Inherited()))
	go func() {
		for _, i := range h.Inherited() {
			reply, err := i.Wait(k.ctx)
			var body []byte
			if err == nil {
				body = reply[0]
			}
			k.tell(fmt.Sprintf("#%d", i.Seq), body, err)
		}
	}()
}
