package main

import (
	"fmt"
	"strings"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// repairsOf reads --repair: SERVICE=NAME, or NAME for all services that are not named.
func repairsOf(values []string) (map[string]assigner.Repair, error) {
	repairs := make(map[string]assigner.Repair, len(values))
	for _, value := range values {
		service, name, ok := strings.Cut(value, "=")
		if !ok {
			service, name = assigner.AnyService, value
		}
		repair, err := assigner.ParseRepair(name)
		if err != nil || service == "" {
			return nil, fmt.Errorf("--repair %q: write SERVICE=NAME, or NAME for all other services; names are tell, fail, restart", value)
		}
		if _, twice := repairs[service]; twice {
			return nil, fmt.Errorf("--repair %q: service %s has a repair already: name each service once", value, service)
		}
		repairs[service] = repair
	}
	return repairs, nil
}
