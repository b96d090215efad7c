package machine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestAWorkerOffersOtherServices(t *testing.T) {
	quote(t, "say what the worker offers and is from now on, all of it; left out: as before. Hits of a service that is not offered any more go on")
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 3)
	s.opened(c, w, 1, 0)
	w.changed(`{"slots":3,"services":["other","more"],"terms":{"other":{"lease_ms":5000}},"labels":{"gpu":"a100"}}`)
	require.Equal(t, 1, s.used(), "the open hit goes on")
	row := s.workerRow(t)
	require.Equal(t, []any{[]string{"other", "more"}, map[string]string{"gpu": "a100"}, 3, 1}, []any{row.Services, row.Labels, row.Slots, row.Used})
	c.openFor(2, wire.Now, 0, "echo", "")
	c.expectError(wire.QueueFull, wire.NeverStarted)
	c.openFor(3, wire.Now|oneShot, 0, "other", "", "x")
	w.serve()
	c.expect(wire.Reply)
	c.openFor(4, oneShot, 0, "more", `{"target":{"where":"gpu=a100"}}`, "x")
	w.serve()
	c.expect(wire.Reply)

	c.openFor(5, oneShot, 0, "echo", "", "x") // waits for somebody who offers it
	w.silent()
	w.changed(`{"slots":3,"services":["echo"]}`)
	w.serve()
	c.expect(wire.Reply)
	kinds := []string{}
	for _, e := range s.events(t, "").Events {
		kinds = append(kinds, e.Kind+" "+e.Service)
	}
	require.Equal(t, []string{
		"worker.registered ", "service.offered echo", "worker.changed ", "service.offered other", "service.offered more", "service.gone echo",
		"worker.changed ", "service.offered echo", "service.gone other", "service.gone more",
	}, kinds)
}

func TestWhatWaitsForAWorkerThatIsAnother(t *testing.T) {
	quote(t, "What waits for this worker alone, and does not fit any more, gets ERROR `draining`, never started.")
	s := newTheatre(t, config())
	c := s.client()
	w, other := s.labelled("w", 1, map[string]string{"gpu": "a100"}), s.labelled("other", 1, nil)
	s.opened(c, w, 1, 0)
	member := s.member(t, "w")
	c.aim(2, `"member":"`+member+`"`)
	c.aim(3, `"where":"gpu=a100"`)
	c.aim(4, `"where":"gpu=a100","absent":"fail"`)
	c.silent()
	w.changed(`{"slots":1,"labels":{}}`)
	c.expectError(wire.Draining, wire.NeverStarted, "worker w, which the hit was to have") // the last one: nobody has the label
	c.silent()
	other.changed(`{"slots":1,"labels":{"gpu":"a100"}}`)
	other.serve()
	require.EqualValues(t, 3, c.expect(wire.Reply).Header.Hit, "it has waited for the label")
	w.changed(`{"slots":1,"services":["x"]}`)
	c.expectError(wire.Draining, wire.NeverStarted, "worker w")
}

func TestAWorkerThatLeavesOffersNothing(t *testing.T) {
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 1)
	s.opened(c, w, 1, 0)
	w.say(wire.Header{Type: wire.Bye})
	w.changed(`{"slots":2,"services":["echo","x"]}`)
	for _, row := range s.broker.Status(s.now).Services {
		require.Zero(t, row.Workers, "%v", machine.ServiceRow(row))
	}
	s.vanishWith(w)
	require.Zero(t, s.used())
}

func TestAnOfferThatCannotBe(t *testing.T) {
	s := newTheatre(t, config())
	w := s.worker("w", 3)
	for json, contains := range map[string]string{
		`{"slots":3,"services":[]}`:                                 "services is empty",
		`{"slots":3,"services":["a b"]}`:                            "printable ASCII",
		`{"slots":3,"terms":{"echo":{}}}`:                           "not among the services",
		`{"slots":3,"services":["a"],"labels":{"":"x"}}`:            "label",
		`{"slots":3,"services":["a"],"terms":{"a":{"repair":"x"}}}`: "CHANGED: terms: repair",
	} {
		w.changed(json)
		w.expectError(wire.BadFrame, wire.NeverStarted, contains)
	}
	require.Equal(t, []string{"echo"}, s.workerRow(t).Services)
}
