package machine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestAnUnknownServiceIsRefused(t *testing.T) {
	quote(t, "A service that no worker has offered is unknown (`unknown-service`); for some time after the broker's start (10 s) such OPENs wait, too.")
	s := newTheatre(t, config())
	c := s.client()
	c.open(1)
	c.expectError(wire.UnknownService, wire.NeverStarted, `no worker has offered the service "echo"`, "no worker has registered yet", "start one, or correct the name")
	s.worker("w", 1)
	c.openFor(2, 0, 0, "ecco", "")
	c.expectError(wire.UnknownService, wire.NeverStarted, `"ecco"`, "offered: echo")
	c.openFor(3, 0, 0, "e o", "")
	c.expectError(wire.BadFrame, wire.NeverStarted, `"e o"`, "without blanks")
}

func TestManyOfferedServicesAreNotAllNamed(t *testing.T) {
	s := newTheatre(t, config())
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint("service", i))
	}
	s.peer().ready(wire.ReadyInfo{Services: names, Slots: 1})
	c := s.client()
	c.open(1)
	m := c.expectError(wire.UnknownService, wire.NeverStarted, "and 12 more")
	require.Equal(t, 8, strings.Count(string(m.Frame(0)), "service")-1)
}

func TestAfterItsStartTheBrokerWaitsForWorkers(t *testing.T) {
	s := newTheatre(t, config())
	s.now = time.Second
	c := s.client()
	c.open(1)
	c.openFor(2, 0, 0, "never", "")
	c.openFor(3, 0, 2000, "hasty", "")
	c.silent()
	s.tick(2 * time.Second)
	require.Equal(t, uint64(3), c.expectError(wire.UnknownService, wire.NeverStarted, `"hasty"`).Header.Hit)

	w := s.worker("w", 1)
	w.expect(wire.Begin)
	c.openFor(4, 0, 0) // waits for the one slot
	s.tick(7*time.Second + time.Millisecond)
	require.Equal(t, uint64(2), c.expectError(wire.UnknownService, wire.NeverStarted, `"never"`).Header.Hit, "the grace is over")
	c.silent() // open 4 has the usual time
	require.Zero(t, s.broker.Inventory().Unoffered)
}

// The OPENs that waited for the service to be offered wait for a slot from then on.
func TestTheGraceEndsForAServiceThatIsOffered(t *testing.T) {
	s := newTheatre(t, config())
	s.now = time.Second
	c := s.client()
	c.open(1)
	c.open(2)
	s.worker("w", 1)
	s.tick(20 * time.Second)
	c.silent()
	s.tick(10 * time.Second)
	require.Equal(t, uint64(2), c.expectError(wire.Expired, wire.NeverStarted).Header.Hit)
}

func TestAServiceIsKnownWhenItsWorkersHaveLeft(t *testing.T) {
	s := newTheatre(t, config())
	c := s.client()
	s.worker("w", 1).vanish()
	c.open(1)
	c.silent()
	c.openFor(2, 0, 500)
	s.tick(time.Second)
	require.Equal(t, uint64(2), c.expectError(wire.Expired, wire.NeverStarted, `no worker offers the service "echo" any more`, "1 more hits wait", "start one").Header.Hit)
	s.worker("w", 1).expect(wire.Begin)
}
