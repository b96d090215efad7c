package main

import (
	"fmt"
	"strings"

	"github.com/troupe-mq/troupe/actors/schedule"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

// policiesOf reads --policy: SERVICE=NAME, or NAME for all services that are not named.
func policiesOf(values []string) (map[string]assigner.Policy, error) {
	policies := make(map[string]assigner.Policy, len(values))
	for _, value := range values {
		service, name, ok := strings.Cut(value, "=")
		if !ok {
			service, name = assigner.AnyService, value
		}
		policy, err := assigner.ParsePolicy(name)
		if err != nil || service == "" {
			return nil, fmt.Errorf("--policy %q: write SERVICE=NAME, or NAME for all other services; names are %s", value, policyNames())
		}
		if _, twice := policies[service]; twice {
			return nil, fmt.Errorf("--policy %q: service %s has a policy already: name each service once", value, service)
		}
		policies[service] = policy
	}
	return policies, nil
}

// policyNames lists the policies in words.
func policyNames() string {
	var names []string
	for _, n := range schedule.Names() {
		names = append(names, string(n))
	}
	return strings.Join(names, ", ")
}
