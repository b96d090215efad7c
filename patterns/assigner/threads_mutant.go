//go:build troupe_mutant_sharedslots

package assigner

import (
	"sync"

	"github.com/troupe-mq/troupe/actors/host"
)

// This build is wrong on purpose: two hits after each other get one thread. test/e2e/affinity builds it, to see that the proof of affinity
// notices.
func init() {
	var mu sync.Mutex
	var shared *host.Pinned
	startThread = func(cfg host.PinnedConfig) *host.Pinned {
		mu.Lock()
		defer mu.Unlock()
		if t := shared; t != nil {
			shared = nil
			return t
		}
		shared = host.StartPinned(cfg)
		return shared
	}
}
