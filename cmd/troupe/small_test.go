package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/examples/python"
)

func TestVersion(t *testing.T) {
	var v version
	troupe(t, exitOK, "version", "-o", "json").read(&v)
	require.Equal(t, "HIT/1", v.Protocol)
	require.Regexp(t, `^4\.\d+\.\d+$`, v.ZeroMQ)
	require.True(t, v.Batched)
	require.Regexp(t, `(?s)^troupe .*\nprotocol +HIT/1\nlibzmq +4\.\d+\.\d+, messages move in batches\ngo +go1\.`, troupe(t, exitOK, "version").out.String())
}

func TestClientPython(t *testing.T) {
	want, err := os.ReadFile("../../examples/python/troupe.py")
	require.NoError(t, err)
	require.Equal(t, string(want), python.Client)
	require.Equal(t, string(want), troupe(t, exitOK, "client", "python").out.String())
	file := filepath.Join(t.TempDir(), "troupe.py")
	troupe(t, exitOK, "client", "python", "--output", file)
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
	var said map[string]any
	troupe(t, exitOK, "client", "python", "-o", "json").read(&said)
	require.Equal(t, string(want), said["text"])
	refused := troupe(t, exitFailed, "client", "python", "--output", "/no/such/folder/troupe.py")
	require.Contains(t, refused.err.String(), "no such file or directory: choose a path of yours with --output")
}

func TestStatus(t *testing.T) {
	h := newHouse(t, "--name", "main")
	h.worker(t, "--service", "count")
	h.hit(t, "count")
	var s struct {
		Broker   string
		Hits     int
		Services []map[string]any
		Totals   map[string]int
		Counters map[string]int
	}
	troupe(t, exitOK, h.clients, "status", "-o", "json").read(&s)
	require.Equal(t, "main", s.Broker)
	require.Equal(t, 1, s.Hits)
	require.Equal(t, "count", s.Services[0]["service"])
	require.Equal(t, 1, s.Totals["hits_opened"])
	require.Positive(t, s.Counters["messages_received"])
	require.Regexp(t, `(?s)^broker main, serving, up \S+: clients 2, workers 1, hits 1\n\nSERVICE +WORKERS +SLOTS +MAX +USED +WAITING +HITS +HELD +WAITED\ncount +1 +8 +8 +1 +0 +0 +- +-\n\nhits +1 opened, .*messages_received +\d+\n`,
		troupe(t, exitOK, h.clients, "status").out.String())
}

func TestAge(t *testing.T) {
	for ms, want := range map[int64]string{0: "0ms", 999: "999ms", 1500: "1.5s", 61_000: "1m01s", 3_660_000: "1h01m", 90_000_000: "1d01h"} {
		require.Equal(t, want, age(ms))
	}
}

func TestCell(t *testing.T) {
	for text, want := range map[string]string{"": "-", "a b": "a b", "a\x1b[2J\nb\tc": "a?[2J?b?c", "é\xff\u0085": "é??"} {
		require.Equal(t, want, cell(text))
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "64KiB": 64 << 10, "3M": 3 << 20, "2GiB": 2 << 30, "7B": 7, "12 KiB": 12 << 10} {
		var s size
		require.NoError(t, s.Set(text))
		require.Equal(t, want, int64(s))
		var again size
		require.NoError(t, again.Set(s.String()))
		require.Equal(t, s, again)
	}
	for _, text := range []string{"", "0", "-1", "1.5MiB", "KiB", "9999999999GiB"} {
		require.ErrorContains(t, new(size).Set(text), "is not a size", text)
	}
}
