package machine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/machine"
	"github.com/troupe-mq/troupe/bridge/wire"
)

// changed says CHANGED.
func (p *peer) changed(json string) { p.say(wire.Header{Type: wire.Changed}, json) }

// grows is a worker that has been welcomed, with slots for "echo" that can grow.
func (s *theatre) grows(name string, slots, most int) *peer {
	p := s.peer()
	p.ready(wire.ReadyInfo{Name: name, Services: []string{"echo"}, Slots: slots, SlotsMax: most})
	p.expect(wire.Welcome)
	return p
}

func TestAnOpenThatDoesNotWait(t *testing.T) {
	quote(t, "An OPEN with the flag `now` waits for nothing: where no slot is free, and none can be made, it is refused at once (`queue-full`), as is one of a service that no worker has offered (`unknown-service`).")
	s := newTheatre(t, config())
	s.now = time.Second // others wait for workers that have yet to register
	c := s.client()
	c.openFor(1, wire.Now, 0, "echo", "")
	c.expectError(wire.UnknownService, wire.NeverStarted, "no worker has offered")
	w := s.worker("w", 1)
	c.openFor(2, wire.Now, 0, "echo", "")
	w.expect(wire.Begin)
	c.openFor(3, wire.Now|oneShot, 0, "echo", "", "x")
	e := c.expectError(wire.QueueFull, wire.NeverStarted, "all 1 slots of service")
	require.True(t, e.Header.Flags.Has(wire.Ref|wire.Last))
	require.Zero(t, s.broker.Inventory().Queued)
}

func TestSlotsGrowBeforeAnybodyWaits(t *testing.T) {
	quote(t, "When an OPEN finds no free slot, the broker gives the hit to the worker of the service that has the most room to grow, up to its `slots_max`, before the OPEN waits or is refused.")
	s := newTheatre(t, config())
	c, narrow, wide := s.client(), s.grows("narrow", 1, 2), s.grows("wide", 1, 4)
	for i, who := range []*peer{narrow, wide, wide, wide, narrow, wide} {
		c.openFor(uint64(i+1), wire.Now, 0, "echo", "")
		require.Len(t, who.inbox, 1, "open %d", i+1)
		who.expect(wire.Begin)
	}
	c.openFor(7, wire.Now, 0, "echo", "")
	c.expectError(wire.QueueFull, wire.NeverStarted, "all 6 slots")
	require.EqualValues(t, 4, s.broker.Status(s.now).Totals.Grown)
	require.Equal(t, machine.ServiceRow{Name: "echo", Workers: 2, Slots: 6, Max: 6, Used: 6}, s.broker.Status(s.now).Services[0])
}

func TestChangedTakesBackWhatIsFree(t *testing.T) {
	quote(t, "Hits that are open, or on their way, keep their slots: CHANGED takes back only what is free.")
	s := newTheatre(t, config())
	c, w := s.client(), s.worker("w", 3)
	first, second := s.opened(c, w, 1, 0), s.opened(c, w, 2, 0)
	w.changed(`{"slots":1}`)
	require.Equal(t, 2, s.workerRow(t).Slots, "those in use")
	first.worker(wire.Header{Type: wire.Ended, Status: wire.ServiceError})
	c.expect(wire.Closed)
	require.Equal(t, 1, s.workerRow(t).Slots)
	c.open(3)
	w.silent() // it waits
	second.worker(wire.Header{Type: wire.Ended, Status: wire.ServiceError})
	c.expect(wire.Closed)
	w.expect(wire.Begin)
	require.EqualValues(t, 1, s.broker.Status(s.now).Totals.Retired)

	c.open(4)
	w.silent()
	w.changed(`{"slots":2}`) // there is one for who waits
	w.expect(wire.Begin)
	c.open(5)
	w.changed(`{"slots":2,"slots_max":3}`) // or room for one
	w.expect(wire.Begin)
	require.Equal(t, 3, s.workerRow(t).Slots)
}

func TestChangedThatCannotBe(t *testing.T) {
	s := newTheatre(t, config())
	w := s.worker("w", 3)
	for json, contains := range map[string]string{
		`{"slots":-1}`: "slots is -1", `{"slots":70000}`: "slots is 70000", `{"slots":3,"slots_max":2}`: "slots_max is 2 with 3 slots", `[]`: "not an object",
	} {
		w.changed(json)
		w.expectError(wire.BadFrame, wire.NeverStarted, contains)
	}
	require.Equal(t, 3, s.workerRow(t).Slots)
	require.Equal(t, 4, s.counts[wire.BadFrame])
}

func TestASlotThatIsAnotherBrokers(t *testing.T) {
	quote(t, "Until then the broker counts the worker as full. The client gets ERROR with `slot-taken`")
	s := newTheatre(t, config())
	c, w := s.client(), s.grows("w", 2, 4)
	x := s.begun(c, w, 1, 0)
	x.worker(wire.Header{Type: wire.Ended, Status: wire.SlotTaken}, "all slots are busy: another broker's hit has it: open again")
	c.expectError(wire.SlotTaken, wire.NeverStarted, "another broker's")
	c.openFor(2, wire.Now, 0, "echo", "")
	c.expectError(wire.QueueFull, wire.NeverStarted, "all 0 slots")
	w.changed(`{"slots":2}`)
	shot := s.begun(c, w, 3, oneShot)
	w.changed(`{"slots":1,"slots_max":1}`) // newer than the BEGIN it refuses now
	shot.worker(wire.Header{Type: wire.Error, Flags: wire.Last, Status: wire.SlotTaken, Seq: 1, Arg: uint32(wire.NeverStarted)}, "all slots are taken: open again, elsewhere")
	require.True(t, c.expectError(wire.SlotTaken, wire.NeverStarted, "taken").Header.Flags.Has(wire.Last))
	s.begun(c, w, 4, 0)
	require.EqualValues(t, 2, s.broker.Status(s.now).Totals.Taken)
}

func TestAWorkerThatIsFullWhenItRegisters(t *testing.T) {
	quote(t, "`slots_max`, if it is there, says how far the slots can grow (section 9); `slots` may be 0 then.")
	s := newTheatre(t, config())
	c, w := s.client(), s.grows("w", 0, 2)
	w.changed(`{"slots":0,"slots_max":0}`)
	c.open(1)
	w.silent()
	w.changed(`{"slots":0}`) // as READY said: up to 2
	w.expect(wire.Begin)
}
