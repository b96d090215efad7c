package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCallOnce(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	require.Equal(t, "HELLO\n", troupe(t, exitOK, h.clients, "call", "upper", "hello").out.String())
	require.Equal(t, "hello", troupe(t, exitOK, h.clients, "call", "echo", "hello", "--raw").out.String())
	require.Equal(t, "\n", troupe(t, exitOK, h.clients, "call", "echo").out.String())

	c := start(t, h.clients, "call", "upper", "-")
	c.say("two")
	c.say("lines")
	require.NoError(t, c.stdin.Close())
	require.Equal(t, "TWO\nLINES\n", c.expect(exitOK).out.String())

	var r reply
	troupe(t, exitOK, h.clients, "call", "upper", "hello", "-o", "json").read(&r)
	require.Equal(t, []string{"HELLO"}, r.Frames)
	require.Equal(t, "utf-8", r.Encoding)
	require.Positive(t, r.MS)
	troupe(t, exitOK, h.clients, "call", "echo", "\xff\x00"[:1], "-o", "json").read(&r)
	require.Equal(t, []string{"/w=="}, r.Frames)
	require.Equal(t, "base64", r.Encoding)
}

func TestCallsOfAHitAreServedByOneThread(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	c, handle := h.hit(t, "thread", "--label", "a test")
	thread := regexp.MustCompile(`thread (\d+)`).FindStringSubmatch(c.err.String())[1]
	for range 3 {
		c.say("")
	}
	require.NoError(t, c.stdin.Close())
	c.expect(exitOK)
	require.Equal(t, strings.Repeat(thread+"\n", 3), c.out.String())
	require.Contains(t, c.err.String(), "hit "+handle+": 3 calls, thread "+thread+", 0 failed\n")

	c, _ = h.hit(t, "count", "-o", "json")
	c.say("a")
	c.say("b")
	require.NoError(t, c.stdin.Close())
	c.expect(exitOK)
	for i, line := range strings.Split(strings.TrimSpace(c.out.String()), "\n") {
		var r reply
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		require.Equal(t, []string{[]string{"1", "2"}[i]}, r.Frames)
		require.Positive(t, r.Thread)
		require.NotEmpty(t, r.Worker)
		require.NotEmpty(t, r.Hit)
	}
}

func TestErrorsOfAServiceDoNotEndItsHit(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	c, _ := h.hit(t, "sleep")
	c.say("soon")
	c.err.await(t, `service-error (finished): "soon" is no duration`)
	c.say("1ms")
	c.out.await(t, "slept 1ms")
	require.NoError(t, c.stdin.Close())
	c.expect(exitFailed)
	require.Contains(t, c.err.String(), "troupe: 1 of 2 calls of the hit failed: see above")

	c, _ = h.hit(t, "panic")
	c.say("at all")
	c.expect(exitFailed)
	require.Contains(t, c.err.String(), "panicked (outcome unknown): the service crashed: panic: at all")
}

func TestErrorsOfCalls(t *testing.T) {
	h := newHouse(t, "--grace", "0")
	h.worker(t)
	for _, c := range []struct {
		code                     int
		args, status, says, next string
	}{
		{exitFailed, "fail|no luck", "service-error", "no luck", ""},
		{exitFailed, "panic|ouch", "panicked", "ouch", "log"},
		{exitFailed, "nobody", "unknown-service", `"nobody"`, "troupe status"},
		{exitIncomplete, "sleep|1h|--timeout|50ms", "expired", "", "--timeout"},
		{exitUnreachable, "echo|--broker|tcp://127.0.0.1:1|--connect|50ms", "broker-gone", "tcp://127.0.0.1:1", "troupe broker"},
		{exitFailed, "echo|--broker|" + strings.TrimPrefix(h.workers, workersEnv+"="), "bad-type", "endpoints of their own", "other endpoint"},
	} {
		args := append([]string{h.clients, "call"}, strings.Split(c.args, "|")...)
		text := troupe(t, c.code, args...).err.String()
		require.Contains(t, text, c.status+" (", c.args)
		require.Contains(t, text, c.says, c.args)
		require.Equal(t, c.next != "", strings.Contains(text, "\nnext: "), text)
		require.Contains(t, text, c.next, c.args)

		var f failure
		p := troupe(t, c.code, append(args, "-o", "json")...)
		require.NoError(t, json.Unmarshal([]byte(p.err.String()), &f), "%s", p.err)
		require.Equal(t, c.status, f.Status)
		require.Equal(t, c.code, f.Code)
		require.NotEmpty(t, f.Outcome)
		require.Empty(t, p.out.String())
	}
}

func TestWrongUseOfCall(t *testing.T) {
	for args, says := range map[string]string{
		"":                            "accepts between 1 and 2 arg(s), received 0",
		"echo a b":                    "accepts between 1 and 2 arg(s), received 3",
		"echo --session {":            `--session { is no JSON`,
		"echo body --hit":             "leave BODY out",
		"echo --timeout 0s":           "--timeout is 0s",
		"echo --broker nonsense":      "nonsense: not a ZeroMQ endpoint",
		"bad\x01name --connect 10ms":  "",
		"echo --broker tcp://1.2.3.4": "tcp://HOST:PORT",
	} {
		p := start(t, append([]string{"call"}, strings.Fields(args)...)...)
		require.NotEqual(t, exitOK, p.exit())
		if says != "" {
			require.Equal(t, exitUsage, p.exit(), args)
			require.Contains(t, p.err.String(), says, args)
		}
	}
}

func TestProgressIsShown(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	c, _ := h.hit(t, "progress", "--progress")
	c.say("1")
	c.out.await(t, "took 1 steps")
	c.err.await(t, "progress 100% step 1 of 1")
	p := troupe(t, exitOK, h.clients, "call", "progress", "2", "--progress")
	require.Equal(t, "took 2 steps\n", p.out.String())
	require.Equal(t, "progress  50% step 1 of 2\nprogress 100% step 2 of 2\n", p.err.String())
}

func TestCallIsCancelledBySignal(t *testing.T) {
	h := newHouse(t)
	h.worker(t)
	c := start(t, h.clients, "call", "sleep", "1h")
	waitForCalls(t, h, 1)
	c.signal(os.Interrupt)
	c.expect(exitIncomplete)
	require.Contains(t, c.err.String(), "cancelled (outcome unknown)")

	c, _ = h.hit(t, "count")
	c.signal(os.Interrupt)
	c.expect(exitIncomplete)
	require.Contains(t, c.err.String(), "ended by a signal after 0 calls")
	for len(h.list(t)) > 0 { // both slots are free again
	}
}
