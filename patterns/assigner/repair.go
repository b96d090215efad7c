package assigner

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Repair is what is done about a call whose worker fails it.
type Repair string

// The repairs. What a lost worker does to calls is the same under RepairTell and RepairFail: their clients are told at once.
const (
	RepairDefault Repair = ""
	RepairTell    Repair = "tell"    // a call that is stuck is recorded and shown; it goes on
	RepairFail    Repair = "fail"    // its client is told at once, its session is ended
	RepairRestart Repair = "restart" // what may run again goes to another worker, of the rest the client is told at once
)

// ParseRepair returns the repair of that name.
func ParseRepair(name string) (Repair, error) {
	if r := Repair(name); slices.Contains([]Repair{RepairTell, RepairFail, RepairRestart}, r) {
		return r, nil
	}
	return "", fmt.Errorf("no repair is named %q: there are tell, fail and restart", name)
}

// RepairConfig says what a broker does about calls whose workers fail them.
type RepairConfig struct {
	// Services says by service what is done; AnyService stands for all services that are not named. Default: what their workers ask for (Service.Repair).
	Services map[string]Repair
	// MaxMoves is how often a hit may go to another worker, where RepairRestart allows it; default 3, -1: never.
	MaxMoves int
	// MaxHit and MaxAll are the most bytes of calls kept for that, per hit and for all of the broker's together; defaults 1 MiB and 64 MiB. A hit does not
	// move while a call of it that did not fit is not answered.
	MaxHit, MaxAll int
}

func (c *RepairConfig) validate() error {
	for _, service := range slices.Sorted(maps.Keys(c.Services)) {
		if _, err := ParseRepair(string(c.Services[service])); err != nil {
			return fmt.Errorf("assigner: Repair of service %q: %w", service, err)
		}
	}
	if c.MaxMoves < -1 || c.MaxHit < 0 || c.MaxAll < 0 {
		return errors.New("assigner: Repair: MaxMoves, MaxHit and MaxAll may not be negative (MaxMoves -1: no hit moves)")
	}
	return nil
}

func (c *RepairConfig) withDefaults() {
	def(&c.MaxMoves, 3)
	c.MaxMoves = max(c.MaxMoves, 0)
	def(&c.MaxHit, 1<<20)
	def(&c.MaxAll, 64<<20)
}

// of returns what is done for a service, empty for what its workers ask for.
func (c *RepairConfig) of(service string) string {
	if r, ok := c.Services[service]; ok {
		return string(r)
	}
	return string(c.Services[AnyService])
}
