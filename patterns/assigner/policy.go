package assigner

import (
	"fmt"
	"math/rand/v2"

	"github.com/troupe-mq/troupe/actors/schedule"
)

// Policy says which of the workers of a service that have a free slot gets the next hit.
type Policy = schedule.Name

// The policies.
const (
	LeastBusy  = schedule.LeastBusy  // the smallest share of slots taken, among equals in turn: the default
	LRU        = schedule.LRU        // whose turn is longest past
	RoundRobin = schedule.RoundRobin // in turn, in the order of registration
	Random     = schedule.Random     // any, all alike
	TwoChoices = schedule.TwoChoices // the less busy of two random ones
	Weighted   = schedule.Weighted   // in turn, in proportion to their slots
)

// AnyService stands in BrokerConfig.Policies for the services that are not named.
const AnyService = "*"

// ParsePolicy returns the policy of that name.
func ParsePolicy(name string) (Policy, error) { return schedule.ParseName(name) }

func checkPolicies(policies map[string]Policy) error {
	for service, name := range policies {
		if _, err := ParsePolicy(string(name)); err != nil {
			return fmt.Errorf("assigner: Policies of service %q: %w", service, err)
		}
	}
	return nil
}

// policy says which worker of a service is next.
func (c *BrokerConfig) policy(service string) Policy {
	if name, ok := c.Policies[service]; ok {
		return name
	}
	return c.Policies[AnyService]
}

func pick(n int) int { return rand.IntN(n) }

// minWorkers says how many workers a service is to have before anything of it is given out.
func (c *BrokerConfig) minWorkers(service string) int {
	if n, ok := c.MinWorkers[service]; ok {
		return n
	}
	return c.MinWorkers[AnyService]
}
