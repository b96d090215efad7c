package machine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestAnOperatorAsksWhoIsAlive(t *testing.T) {
	quote(t, "`hit.kill` and `hit.alive` (`hit`: hex handle; VITALS of both sides), `worker.list`, `worker.alive` (`worker`: its name)")
	s := newTheatre(t, config())
	w, asker := s.worker("w", 2), s.client()
	h := s.opened(s.client(), w, 5, 0)
	s.opened(s.client(), w, 6, 0)
	s.tick(time.Second)
	h.call(1, 0)
	h.call(2, 0)
	s.tick(3 * time.Second)
	var got machine.HitAlive
	asker.admin(fmt.Sprintf(`{"cmd":"hit.alive","hit":"%x"}`, h.handle), &got)
	require.NotEmpty(t, got.Worker.By)
	require.NotEmpty(t, got.Client.By)
	got.Worker.By, got.Client.By = "", ""
	side := wire.VitalsInfo{Peer: "worker", Alive: true, WithinMS: 3000, State: "open", Running: 1, RunningMS: 3000, ProgressMS: 4000, Queued: 1}
	require.Equal(t, side, got.Worker)
	side.Peer = "client"
	require.Equal(t, side, got.Client)
	require.Equal(t, []string{fmt.Sprintf("%x", h.handle), "echo", "w", "somebody"}, []string{got.Hit, got.Service, got.WorkerName, got.ClientName})

	var worker machine.WorkerAlive
	asker.admin(`{"cmd":"worker.alive","worker":"w"}`, &worker)
	require.Len(t, worker.Hits, 2)
	require.NotEmpty(t, worker.By)
	worker.Hits, worker.By = nil, ""
	require.Equal(t, machine.WorkerAlive{Name: "w", Alive: true, WithinMS: 3000, State: "serving", Used: 2, ProgressMS: 4000, Running: 1, LongestMS: 3000}, worker)

	for request, says := range map[string]string{
		`{"cmd":"hit.alive"}`:                      `no hit has the handle ""`,
		`{"cmd":"hit.alive","hit":"zz"}`:           `no hit has the handle "zz"`,
		`{"cmd":"worker.alive"}`:                   `no worker has the name ""`,
		`{"cmd":"worker.alive","worker":"nobody"}`: `no worker has the name "nobody"`,
	} {
		var answer map[string]string
		asker.admin(request, &answer)
		require.Contains(t, answer["error"], says, request)
	}
	h.worker(wire.Header{Type: wire.Ended})
	var answer map[string]string
	asker.admin(fmt.Sprintf(`{"cmd":"hit.alive","hit":"%x"}`, h.handle), &answer)
	require.Contains(t, answer["error"], "no hit has the handle")
	idle := s.worker("idle", 1)
	asker.admin(`{"cmd":"worker.alive","worker":"idle"}`, &worker)
	require.EqualValues(t, -1, worker.ProgressMS, "it has no hit")
	idle.vanish()
	asker.admin(`{"cmd":"worker.alive","worker":"idle"}`, &answer)
	require.Contains(t, answer["error"], `no worker has the name "idle"`)
}

// An adrift hit's worker lives, its client does not.
func TestAnOperatorAsksAboutAHitAdrift(t *testing.T) {
	s, h := standing(t)
	asker := s.client()
	h.c.vanish()
	var got machine.HitAlive
	asker.admin(fmt.Sprintf(`{"cmd":"hit.alive","hit":"%x"}`, h.handle), &got)
	require.True(t, got.Worker.Alive)
	require.False(t, got.Client.Alive)
	require.Equal(t, "adrift", got.Worker.State)
}
