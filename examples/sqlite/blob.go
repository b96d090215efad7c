package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

const (
	blobSize  = 64 << 20
	pieceSize = 1 << 20 // of a row
	// mostGrowth is how much a worker process may grow while a blob goes through it: less than if it held it.
	mostGrowth = blobSize / 2
)

const (
	makePieces = "CREATE TABLE IF NOT EXISTS piece (document, n, bytes BLOB, UNIQUE (document, n))"
	putPiece   = "INSERT INTO piece (document, n, bytes) VALUES (?, ?, ?)"
	getPieces  = "SELECT bytes FROM piece WHERE document = ? ORDER BY n"
	dropPieces = "DROP TABLE piece"
)

// BlobRow is a blob that went into the database and out again.
type BlobRow struct {
	Lang    string  `json:"lang"`
	PID     int     `json:"process"`
	Route   string  `json:"route"`
	Network string  `json:"network"`
	In      float64 `json:"in_mib_per_s"`
	Out     float64 `json:"out_mib_per_s"`
	Grown   int64   `json:"worker_grew_bytes"` // by its peak, VmHWM
	SHA256  string  `json:"sha256"`
	Worker  string  `json:"worker_sha256"` // of what the worker has stored, by its own count
	Came    string  `json:"came_sha256"`   // of what came back
}

// blob is the bytes of a document: generated, never whole in memory.
func blob(seed uint64) io.Reader {
	var key [32]byte
	copy(key[:], strconv.FormatUint(seed, 10))
	return io.LimitReader(rand.NewChaCha8(key), blobSize)
}

// blobs moves a blob through each worker on each route.
func (d *demo) blobs(ctx context.Context) (err error) {
	client, err := d.house.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close(context.WithoutCancel(ctx))) }()
	d.tellBlobs()
	for _, way := range []assigner.Route{assigner.Routed, assigner.Direct} {
		if err := d.blobsBy(ctx, client, way); err != nil {
			return err
		}
	}
	return nil
}

// blobsBy opens a hit at each worker: the second goes to the less busy one.
func (d *demo) blobsBy(ctx context.Context, client *assigner.Client, way assigner.Route) (err error) {
	var hits []*assigner.Hit
	defer func() {
		for _, h := range hits {
			err = errors.Join(err, h.Close(context.WithoutCancel(ctx)))
		}
	}()
	for range 2 {
		h, err := client.OpenWith(ctx, assigner.OpenRequest{Service: "sqlite", Label: "blob", Route: way})
		if err != nil {
			return err
		}
		hits = append(hits, h)
	}
	for _, h := range hits {
		row, err := d.moveBlob(ctx, h)
		if err != nil {
			return fmt.Errorf("a blob by way of worker %s: %w", h.Worker(), err)
		}
		d.report.Blobs = append(d.report.Blobs, *row)
		d.tellBlob(row)
	}
	return nil
}

// moveBlob stores the blob in pieces, and reads it back.
func (d *demo) moveBlob(ctx context.Context, h *assigner.Hit) (*BlobRow, error) {
	made, err := statement(ctx, h, map[string]any{"sql": makePieces}, nil)
	if err != nil {
		return nil, err
	}
	row := &BlobRow{Lang: d.house.lang(made.PID), PID: made.PID, Route: route(h), Network: "loopback"}
	before, err := peak(made.PID)
	if err != nil {
		return nil, err
	}
	sum, begun := sha256.New(), time.Now()
	stored, err := statement(ctx, h, map[string]any{"sql": putPiece, "args": []int{1}, "input": pieceSize}, io.TeeReader(blob(d.cfg.Seed), sum))
	if err != nil {
		return nil, err
	}
	row.In, row.SHA256, row.Worker = speed(begun), hex.EncodeToString(sum.Sum(nil)), stored.SHA256
	begun = time.Now()
	if row.Came, err = fetch(ctx, h); err != nil {
		return nil, err
	}
	row.Out = speed(begun)
	after, err := peak(made.PID)
	row.Grown = after - before
	_, dropped := statement(ctx, h, map[string]any{"sql": dropPieces}, nil)
	return row, errors.Join(err, dropped)
}

// statement makes a call, with a body in parts behind it where there is one.
func statement(ctx context.Context, h *assigner.Hit, request map[string]any, body io.Reader) (*answer, error) {
	head, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	reply, err := h.Stream(ctx, assigner.Request{Frames: [][]byte{head}, Body: body, Size: -1})
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	var a answer
	return &a, json.NewDecoder(bytes.NewReader(bytes.Join(reply.Frames, nil))).Decode(&a)
}

// fetch reads the blob back and returns its checksum.
func fetch(ctx context.Context, h *assigner.Hit) (string, error) {
	head, err := json.Marshal(map[string]any{"sql": getPieces, "args": []int{1}, "output": true})
	if err != nil {
		return "", err
	}
	reply, err := h.Stream(ctx, assigner.Request{Frames: [][]byte{head}})
	if err != nil {
		return "", err
	}
	defer reply.Body.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, reply.Body)
	return hex.EncodeToString(sum.Sum(nil)), err
}

func route(h *assigner.Hit) string {
	if h.Direct() {
		return "direct"
	}
	return "routed"
}

// speed returns MiB/s.
func speed(since time.Time) float64 { return blobSize / (1 << 20) / time.Since(since).Seconds() }

// peak returns the most memory that a process has had, bytes.
func peak(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kib), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", pid)
}

// judgeBlobs writes down what does not hold of the blobs.
func (r *Report) judgeBlobs(claim func(bool, string, ...any)) {
	ways := map[string]bool{}
	for _, b := range r.Blobs {
		way := b.Lang + " " + b.Route + " " + b.Network
		ways[way] = true
		claim(b.Came == b.SHA256, "the blob by %s came back as another one: %.12s, not %.12s", way, b.Came, b.SHA256)
		claim(b.Worker == b.SHA256, "the worker (%s) has stored another blob: %.12s, not %.12s", way, b.Worker, b.SHA256)
		claim(b.Grown < mostGrowth, "the worker (%s) grew by %d MiB for a blob of %d MiB", way, b.Grown>>20, blobSize>>20)
	}
	want := 4
	if r.NotApart == "" {
		want = 6
		claim(r.Stranger != "" && r.Stranger != letIn, "without a key: %q", r.Stranger)
	}
	claim(len(ways) == want, "a blob went %d ways, not %d: two workers and two routes, and both routes between two hosts", len(ways), want)
}

func (d *demo) tellBlobs() {
	d.say("\nA blob of %d MiB goes into the database and out again, in rows of %d MiB:", blobSize>>20, pieceSize>>20)
}

func (d *demo) tellBlob(b *BlobRow) {
	same := "the same SHA-256 at client and worker, and of what came back"
	if b.Came != b.SHA256 || b.Worker != b.SHA256 {
		same = "NOT THE SAME"
	}
	d.say("  process %-7d %-6s  %s, %-16s in %4.0f MiB/s, out %4.0f MiB/s, the worker grew by %d MiB; %s", b.PID, b.Lang, b.Route, b.Network+":", b.In, b.Out, b.Grown>>20, same)
}
