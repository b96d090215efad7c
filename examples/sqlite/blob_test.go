package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// bodies are stored and sent by either worker, on either way.
func bodies(t *testing.T, client *assigner.Client) {
	for name, way := range map[string]assigner.Route{"routed": assigner.Routed, "direct": assigner.Direct} {
		t.Run(name, func(t *testing.T) {
			h, err := client.OpenWith(t.Context(), assigner.OpenRequest{Service: "sqlite", Route: way})
			require.NoError(t, err)
			_, err = statement(t.Context(), h, map[string]any{"sql": makePieces}, nil)
			require.NoError(t, err)
			t.Run("there and back", func(t *testing.T) { thereAndBack(t, h) })
			t.Run("refused", func(t *testing.T) { refusedBodies(t, h) })
			t.Run("cancelled", func(t *testing.T) { cancelledBody(t, h) })
			_, err = statement(t.Context(), h, map[string]any{"sql": dropPieces}, nil)
			require.NoError(t, err)
			require.NoError(t, h.Close(t.Context()))
		})
	}
}

func put(chunk any) map[string]any {
	return map[string]any{"sql": putPiece, "args": []int{1}, "input": chunk}
}

func pieces(t *testing.T, h *assigner.Hit) (n int64) {
	t.Helper()
	a, err := statement(t.Context(), h, map[string]any{"sql": "SELECT count(*) FROM piece"}, nil)
	require.NoError(t, err)
	row, err := a.integers()
	require.NoError(t, err)
	return row[0]
}

func thereAndBack(t *testing.T, h *assigner.Hit) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 50_000)
	sum := sha256.Sum256(body)
	a, err := statement(t.Context(), h, put(70_000), bytes.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(sum[:]), a.SHA256)
	require.EqualValues(t, 12, a.Changes, "800,000 bytes in rows of 70,000: the last one is shorter")
	require.EqualValues(t, 12, pieces(t, h))
	came, err := fetch(t.Context(), h)
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(sum[:]), came)
	_, err = statement(t.Context(), h, map[string]any{"sql": "DELETE FROM piece"}, nil)
	require.NoError(t, err)
}

// refusedBodies are told why, store nothing, and leave the session as it was.
func refusedBodies(t *testing.T, h *assigner.Hit) {
	for _, c := range []struct {
		request map[string]any
		body    string
		want    string
	}{
		{map[string]any{"sql": "SELECT 1"}, "body", `give "input"`},
		{put(0), "body", "bytes per chunk"},
		{put(1 << 30), "body", "bytes per chunk"},
		{map[string]any{"sql": "UPDATE piece SET n = ?, bytes = ?", "input": 2}, "body", "INSERT or REPLACE"},
		{map[string]any{"sql": putPiece, "args": []int{1}, "input": 2, "output": true}, "body", "leave one of them out"},
		{map[string]any{"sql": "INSERT INTO missing VALUES (?, ?)", "input": 2}, "body", "no such table"},
		{map[string]any{"sql": putPiece, "args": []int{1, 2}, "input": 2}, "body", ""},
		{map[string]any{"sql": "INSERT INTO piece (document, n, bytes) VALUES (?, ? % 2, ?)", "args": []int{1}, "input": 1}, "body", "UNIQUE"},
		{map[string]any{"sql": "CREATE TABLE other (a)", "output": true}, "", "SELECT or WITH"},
		{map[string]any{"sql": "SELECT 17", "output": true}, "", "neither BLOB nor text"},
	} {
		var body io.Reader
		if c.body != "" {
			body = bytes.NewReader([]byte(c.body))
		}
		head, err := json.Marshal(c.request)
		require.NoError(t, err)
		reply, err := h.Stream(t.Context(), assigner.Request{Frames: [][]byte{head}, Body: body, Size: -1})
		if err == nil { // it may have begun before it failed
			_, err = io.ReadAll(reply.Body)
		}
		require.ErrorIs(t, err, assigner.ErrService, "%v", c.request)
		require.ErrorContains(t, err, c.want, "%v", c.request)
		require.Zero(t, pieces(t, h), "%v", c.request)
	}
}

// cancelledBody is stored in part when its client gives up: nothing of it stays.
func cancelledBody(t *testing.T, h *assigner.Hit) {
	ctx, giveUp := context.WithCancelCause(t.Context())
	defer giveUp(nil)
	head, err := json.Marshal(put(1000))
	require.NoError(t, err)
	body := io.MultiReader(bytes.NewReader(make([]byte, 500_000)), endless{})
	_, err = h.Stream(ctx, assigner.Request{Frames: [][]byte{head}, Body: body, Size: -1, Progress: func(assigner.Progress) { giveUp(errGivenUp) }})
	require.Error(t, err)
	require.Zero(t, pieces(t, h))
}

var errGivenUp = errors.New("given up")

// endless is a body without an end.
type endless struct{}

// Read is io.Reader's.
func (endless) Read(p []byte) (int, error) { return len(p), nil }
