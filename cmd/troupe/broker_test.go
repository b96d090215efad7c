package main

import (
	"encoding/json"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBrokerTellsWhereItListens(t *testing.T) {
	b := start(t, "broker", "--clients", "tcp://127.0.0.1:0,tcp://127.0.0.1:0", "--worker", "tcp://127.0.0.1:0", "--name", "main")
	at := b.out.await(t, "worker ")
	require.Regexp(t, `^worker +tcp://127\.0\.0\.1:\d+\n$`, at)
	require.Regexp(t, `^broker +main\n(client +tcp://127\.0\.0\.1:\d+\n){2}worker`, b.out.String())
	endpoint := strings.Fields(at)[1]
	require.Equal(t, "next: troupe worker --broker "+endpoint+"\n", b.err.await(t, "next:"))
	require.Contains(t, b.err.await(t, "then:"), "troupe call --broker tcp://127.0.0.1:")
	b.signal(os.Interrupt)
	b.expect(exitOK)
}

func TestBrokerTellsWhereItListensInJSON(t *testing.T) {
	h := newHouse(t)
	var said brokerSaid
	line := h.broker.out.await(t, "clients")
	require.NoError(t, json.Unmarshal([]byte(line), &said))
	require.Equal(t, h.broker.cmd.Process.Pid, said.PID)
	require.Regexp(t, `^tcp://127\.0\.0\.1:\d+$`, said.Clients[0])
	require.Regexp(t, `^ipc://`, said.Workers[0])
	h.broker.signal(syscall.SIGTERM)
	h.broker.expect(exitOK)
	require.Equal(t, line, h.broker.out.String(), "data only on standard output")
}

func TestBrokerRefusesWhatItCannotUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, c := range []struct {
		code int
		args string
		says []string
	}{
		{exitUsage, "--client tcp://0.0.0.0:0", []string{"tcp://0.0.0.0:0", "other machines can reach it", "--insecure"}},
		{exitUsage, "--worker tcp://:5", []string{"tcp://:5", "not a ZeroMQ endpoint", "tcp://HOST:PORT"}},
		{exitUsage, "--client inproc://x", []string{"inproc://x", "does not leave this process", "use tcp or ipc"}},
		{exitFailed, "--client tcp://" + taken.Addr().String(), []string{taken.Addr().String(), "address already in use", "choose another endpoint"}},
		{exitFailed, "--client ipc:///no/such/folder/x", []string{"ipc:///no/such/folder/x", "no such file", "create it first"}},
		{exitUsage, "--max-wait 0s", []string{"--max-wait is 0s", "as in 3s"}},
		{exitUsage, "--max-queue -1", []string{"--max-queue is -1", "start at 0"}},
		{exitUsage, "--policy fastest", []string{`--policy "fastest"`, "SERVICE=NAME", "least-busy, lru, round-robin, random, two-choices, weighted"}},
		{exitUsage, "--policy =lru", []string{`--policy "=lru"`, "SERVICE=NAME"}},
		{exitUsage, "--policy echo=lru,echo=random", []string{`--policy "echo=random"`, "name each service once"}},
		{exitUsage, "--grace -1s", []string{"--grace is -1s"}},
		{exitUsage, "--max-body 12parsec", []string{`"12parsec" is not a size`, "KiB"}},
		{exitUsage, "--gc-percent -1", []string{"--gc-percent is -1", "--memory-limit"}},
		{exitUsage, "--no-such-flag", []string{"unknown flag: --no-such-flag", "--help"}},
		{exitUsage, "surplus", []string{"surplus", "--help"}},
		{exitUsage, "-o xml", []string{`"xml" is not possible: use table or json`}},
		{exitUsage, "--log-level loud", []string{`"loud" is not possible: use info or debug`}},
		{exitFailed, "--cpuprofile /no/such/folder/x", []string{"/no/such/folder/x: no such file"}},
	} {
		p := troupe(t, c.code, append([]string{"broker", "--worker", "tcp://127.0.0.1:0"}, strings.Fields(c.args)...)...)
		require.Empty(t, p.out.String(), c.args)
		require.Len(t, strings.Split(strings.TrimSpace(p.err.String()), "\n"), 1, "%s: %s", c.args, p.err)
		for _, words := range c.says {
			require.Contains(t, p.err.String(), words, c.args)
		}
	}
}

func TestErrorsInJSON(t *testing.T) {
	for _, args := range [][]string{
		{"broker", "-o", "json", "--client", "tcp://0.0.0.0:0"},
		{"broker", "--no-such-flag", "--format=json"},
		{"brokr", "-o", "json"},
	} {
		var f failure
		require.NoError(t, json.Unmarshal([]byte(troupe(t, exitUsage, args...).err.String()), &f), args)
		require.Equal(t, exitUsage, f.Code)
		require.NotEmpty(t, f.Error)
	}
}

func TestMistypedCommandsAreGuessed(t *testing.T) {
	require.Contains(t, troupe(t, exitUsage, "brokr").err.String(), `unknown command "brokr" for "troupe": did you mean broker: `+"`troupe help` lists")
	require.Contains(t, troupe(t, exitUsage, "hit").err.String(), "troupe hit needs one of its commands: alive, kill, list, resume")
	require.Contains(t, troupe(t, exitOK).out.String(), "troupe broker &")
}

func TestInsecureBrokerKeepsAdminToItself(t *testing.T) {
	h := newHouse(t, "--insecure", "--worker", "tcp://0.0.0.0:0", "--clients", "tcp://127.0.0.1:0")
	refused := troupe(t, exitFailed, h.clients, "status")
	require.Contains(t, refused.err.String(), "refused (never started): ADMIN is off at this broker: start it with --admin\nnext: ")
	h = newHouse(t, "--insecure", "--admin", "on")
	troupe(t, exitOK, h.clients, "status")
}

func TestBrokersLimitsAreTheFlags(t *testing.T) {
	h := newHouse(t, "--max-queue", "0", "--grace", "0", "--max-body", "1KiB", "--memory-limit", "64MiB", "--gc-percent", "50")
	h.worker(t, "--slots", "1", "--service", "echo")
	require.Contains(t, troupe(t, exitFailed, h.clients, "call", "echo", strings.Repeat("x", 1025)).err.String(), "too-large (never started): the body has 1025 bytes, the broker takes 1024")
	require.Contains(t, troupe(t, exitFailed, h.clients, "call", "nobody").err.String(), "unknown-service")
	h.hit(t, "echo")
	full := troupe(t, exitFailed, h.clients, "call", "echo")
	require.Contains(t, full.err.String(), "queue-full (never started)")
	require.Contains(t, full.err.String(), "next: `troupe hit list`")
}
