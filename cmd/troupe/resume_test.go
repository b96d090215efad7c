package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// leftHit opens a hit with a ticket, makes calls that count, and leaves it by a signal.
func (h *house) leftHit(t *testing.T, calls int) (handle, ticket string) {
	t.Helper()
	ticket = filepath.Join(t.TempDir(), "hit.ticket")
	c, handle := h.hit(t, "count", "--resume", "60s", "--ticket", ticket)
	for n := range calls {
		c.say("x")
		c.out.await(t, string(rune('1'+n)))
	}
	c.signal(os.Interrupt)
	c.expect(exitIncomplete)
	require.Contains(t, c.err.String(), "troupe: hit "+handle+" is left after ")
	require.Contains(t, c.err.String(), "kept for 1m0s")
	require.Contains(t, c.err.String(), "next: troupe hit resume "+ticket+"\n")
	return handle, ticket
}

func TestAHitIsLeftAndTakenUpAgain(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	handle, ticket := h.leftHit(t, 2)
	info, err := os.Stat(ticket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Equal(t, "adrift", h.list(t)[0].State)

	r := start(t, "hit", "resume", ticket) // the broker is the ticket's
	require.Contains(t, r.err.await(t, "resumed"), "hit "+handle+": resumed, count at worker ")
	r.say("x")
	r.out.await(t, "3")
	require.NoError(t, r.stdin.Close())
	r.expect(exitOK)
	require.Equal(t, "3\n", r.out.String())
	require.Contains(t, r.err.String(), "hit "+handle+": 1 calls, 0 failed")
	require.Empty(t, h.list(t))
	require.NoFileExists(t, ticket, "its hit is over")
}

// What is under way when a hit is left goes on, and its answer is printed by who resumes it.
func TestAnAnswerThatComesMeanwhile(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	ticket := filepath.Join(t.TempDir(), "hit.ticket")
	c, _ := h.hit(t, "progress", "--resume", "60s", "--ticket", ticket, "--progress")
	c.say("20")
	c.err.await(t, "step 1 of 20")
	c.signal(os.Interrupt)
	c.expect(exitIncomplete)
	require.Empty(t, c.out.String())

	r := troupe(t, exitOK, "hit", "resume", ticket, "-o", "json")
	require.Contains(t, r.out.String(), `"frames":["took 20 steps"]`)
}

func TestATicketThatCannotBe(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	folder := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	_, ticket := h.leftHit(t, 1)
	good, err := os.ReadFile(ticket)
	require.NoError(t, err)
	shown := file("shown", string(good), 0o644)
	for args, says := range map[string]string{
		"hit resume " + shown:                                            "has mode 0644, others can read or change it, and so take up its hit: chmod 600 " + shown,
		"hit resume " + file("group", string(good), 0o620):               "has mode 0620",
		"hit resume " + file("text", "hello", 0o600):                     "bad ticket: it does not begin with",
		"hit resume " + file("cut", string(good[:60]), 0o600):            "bad ticket",
		"hit resume " + file("empty", "", 0o600):                         "bad ticket",
		"hit resume " + file("long", strings.Repeat("x", 70_000), 0o600): "has 70000 bytes and is no ticket",
		"hit resume " + folder:                                           "",
		"hit resume " + filepath.Join(folder, "none"):                    "no such file",
		"hit resume": "accepts 1 arg(s)",
		"call --hit count --resume 60s --ticket " + shown:            "is there already: take up its hit by `troupe hit resume " + shown + "`",
		"call --hit count --resume 60s --ticket " + folder:           "is no file",
		"call --hit count --resume 60s --ticket " + folder + "/no/t": "there is no folder",
		"call --hit count --ticket " + filepath.Join(folder, "t"):    "--ticket without --resume",
		"call count --resume 60s":                                    "add --hit",
		"call --hit count --resume 60s --direct":                     "--resume with --direct",
		"call --hit count --resume -1s":                              "--resume is -1s: from 1ms to 24h are possible",
		"call --hit count --resume 25h":                              "from 1ms to 24h",
		"call --hit count --resume long":                             "--resume",
		"call --hit count --resume 60s --body x":                     "",
	} {
		p := troupe(t, exitUsage, append([]string{h.clients}, strings.Fields(args)...)...)
		require.Contains(t, p.err.String(), says, args)
	}
	require.Len(t, h.list(t), 1, "nothing was opened, and the left hit is still there")
	troupe(t, exitOK, "hit", "resume", ticket)
}

func TestAHitThatCannotBeResumed(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	handle, ticket := h.leftHit(t, 1)
	troupe(t, exitOK, h.clients, "hit", "kill", handle)
	p := troupe(t, exitFailed, "hit", "resume", ticket)
	require.Contains(t, p.err.String(), "hit "+handle+": killed (")

	none := newHouse(t, "--max-resume", "0")
	none.worker(t)
	free := filepath.Join(t.TempDir(), "t")
	p = troupe(t, exitFailed, none.clients, "call", "--hit", "count", "--resume", "60s", "--ticket", free)
	require.Contains(t, p.err.String(), "--max-resume")
	require.NoFileExists(t, free)
	short := newHouse(t, "--max-resume", "20s")
	short.worker(t)
	c, _ := short.hit(t, "count", "--resume", "60s", "--ticket", free)
	c.err.await(t, "the broker keeps hits for 20s only (its --max-resume)")
	require.NoError(t, c.stdin.Close())
	c.expect(exitOK)
	require.NoFileExists(t, free)
}

// Of two that have the ticket, the later one wins, and the file stays his.
func TestAHitThatIsTakenFromItsHolder(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	ticket := filepath.Join(t.TempDir(), "hit.ticket")
	c, _ := h.hit(t, "count", "--resume", "60s", "--ticket", ticket)
	c.say("x")
	c.out.await(t, "1")
	r := start(t, "hit", "resume", ticket)
	r.err.await(t, "resumed")
	c.expect(exitFailed) // it waits for a line, and is told at once
	require.Contains(t, c.err.String(), "fenced (never started)")
	require.FileExists(t, ticket)
	r.say("x")
	r.out.await(t, "2")
	require.NoError(t, r.stdin.Close())
	r.expect(exitOK)
}

// A hit that ends is noticed at once, not with the next line.
func TestTheEndOfAHitIsNoticedAtOnce(t *testing.T) {
	h := newHouse(t)
	w := h.worker(t)
	c, handle := h.hit(t, "count")
	other, _ := h.hit(t, "count")
	troupe(t, exitOK, h.clients, "hit", "kill", handle)
	c.expect(exitFailed)
	require.Contains(t, c.err.String(), "hit "+handle+": killed (never started)")
	require.NoError(t, w.cmd.Process.Kill())
	other.expect(exitFailed)
	require.Contains(t, other.err.String(), "worker-gone (never started)")
}
