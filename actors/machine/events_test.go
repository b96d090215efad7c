package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

type eventPage struct {
	Events      []machine.Event
	Next, Error string
	Lost        uint64
	More        bool
}

func (s *theatre) events(t *testing.T, request string) (p eventPage) {
	t.Helper()
	s.client().admin(`{"cmd":"events"`+request+`}`, &p)
	return p
}

func TestEventsAreFollowed(t *testing.T) {
	s := newTheatre(t, queueConfig())
	c, w := s.client(), s.worker("w", 1)
	s.opened(c, w, 1, 0)
	var r map[string]any
	c.admin(`{"cmd":"queue.hold","service":"echo","by":"ann"}`, &r)
	s.vanishWith(w)
	kinds := []string{}
	p := s.events(t, "")
	for i, e := range p.Events {
		require.EqualValues(t, i+1, e.Seq)
		kinds = append(kinds, e.Kind)
	}
	require.Equal(t, []string{"worker.registered", "service.offered", "operator", "worker.lost", "service.gone", "verdict"}, kinds)
	require.Contains(t, p.Events[2].Text, "ann held")
	require.Equal(t, []any{"w", "GONE"}, []any{p.Events[3].Worker, p.Events[3].Verdict})
	require.Equal(t, "6", p.Next)
	require.Empty(t, s.events(t, `,"after":"6"`).Events)
	require.Len(t, s.events(t, `,"kind":"worker"`).Events, 2)
	require.Len(t, s.events(t, `,"limit":2`).Events, 2)
	require.True(t, s.events(t, `,"limit":2`).More)
	require.Contains(t, s.events(t, `,"after":"x"`).Error, "after")
	require.Contains(t, s.events(t, `,"kind":"odd"`).Error, "worker.lost")

	for range 3000 { // the oldest make room
		p := s.peer()
		p.ready(wire.ReadyInfo{Name: "x", Services: []string{"other"}, Slots: 1})
		s.vanishWith(p)
	}
	p = s.events(t, `,"after":"6"`)
	require.NotZero(t, p.Lost)
	require.EqualValues(t, p.Lost+7, p.Events[0].Seq, "what is lost is said")
}
