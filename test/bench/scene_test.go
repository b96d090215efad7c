package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVectorsInC replays the protocol's vectors in the C codec that the benchmarks are made of.
func TestVectorsInC(t *testing.T) {
	h := testHouse(t, "vectors")
	vectors := filepath.Join(h.root, "docs/protocol/vectors.txt")
	text, err := os.ReadFile(vectors)
	require.NoError(t, err)
	said, err := exec.CommandContext(patient(t), h.program("vectors"), vectors).CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.Equal(t, strconv.Itoa(bytes.Count(text, []byte("\n"))), string(bytes.TrimSpace(said)))

	spoilt := filepath.Join(h.temp, "spoilt.txt")
	require.NoError(t, os.WriteFile(spoilt, bytes.Replace(text, []byte(" ok 1 5452"), []byte(" ok 1 5453"), 1), 0o600))
	said, err = exec.CommandContext(patient(t), h.program("vectors"), spoilt).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(said), "does not agree with: header hello")
}

func TestPeerCarriesCalls(t *testing.T) {
	h := testHouse(t, programProxy, programLoad, programWorker)
	for _, command := range []string{"run 10 1 8", "run 10 5 32", "run 3 20 32", "oneshot 5 1024"} {
		found, err := h.stage(patient(t), peer, 1, 10, func(s *scene) (values, error) {
			if err := s.open(patient(t), 10); err != nil {
				return nil, err
			}
			for { // a short run on a busy machine may come to no answer in the measured time
				found, err := s.run(patient(t), command)
				if err == nil || !strings.Contains(err.Error(), "was answered in the measured time") {
					return found, err
				}
			}
		})
		require.NoError(t, err, command)
		require.Positive(t, found["total"], command)
		require.Contains(t, found, "cpu")
	}
}

// TestLoadClientSeesLies: an answer with a wrong hit, seq or body must end the measurement.
func TestLoadClientSeesLies(t *testing.T) {
	h := testHouse(t, programProxy, programLoad, programWorker)
	for part, words := range map[string]string{
		"hit":  "the answer is for hit",
		"seq":  "seq 6, flags 0; its body was sent to hit",
		"body": "another body than its call",
	} {
		s, err := h.openScene(patient(t), peer)
		require.NoError(t, err)
		require.NoError(t, s.add(patient(t), h.program(programWorker), s.at.worker, peer, "10", part))
		s.load, err = start(false, h.program(programLoad), s.at.client, peer)
		require.NoError(t, err)
		require.NoError(t, s.open(patient(t), 1))
		for range 1000 { // a short run on a busy machine may not come as far as the fifth call
			if _, err = s.run(patient(t), "run 1 1 32"); err != nil {
				break
			}
		}
		require.ErrorContains(t, err, words, part)
		require.NoError(t, s.close())
	}
}

func TestLoadClientRefusesWhatIsNotPossible(t *testing.T) {
	h := testHouse(t, programProxy, programLoad, programWorker)
	for command, words := range map[string]string{
		"run 11 1 32": "not possible",
		"run 10 0 32": "not possible",
		"run 10 1 7":  "at least 8 bytes",
		"dance":       "unknown command",
	} {
		_, err := h.stage(patient(t), peer, 1, 10, func(s *scene) (values, error) {
			require.NoError(t, s.open(patient(t), 10))
			return s.run(patient(t), command)
		})
		require.ErrorContains(t, err, words, command)
	}
}

func TestEndpointsAreRead(t *testing.T) {
	for _, text := range []string{
		"client tcp://127.0.0.1:1\nworker tcp://127.0.0.1:2",
		"clients: tcp://127.0.0.1:1, workers: tcp://127.0.0.1:2",
		`level=INFO msg=listening client=tcp://127.0.0.1:1 worker=tcp://127.0.0.1:2`,
		`{"client":"tcp://127.0.0.1:1","worker":"tcp://127.0.0.1:2"}`,
	} {
		var e endpoints
		e.read(text)
		require.Equal(t, endpoints{client: "tcp://127.0.0.1:1", worker: "tcp://127.0.0.1:2"}, e, text)
	}
	var none endpoints
	none.read("troupe broker, version 1")
	require.Zero(t, none)
}
