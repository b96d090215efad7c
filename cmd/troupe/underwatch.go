package main

import (
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/supervision/notify"
)

// underWatch lets the loop give its pulse to whoever has started this process and wants one: `troupe supervise`, or systemd.
func underWatch(cfg *assigner.WatchConfig) *notify.Teller {
	parent := notify.FromEnv()
	if limit := parent.Limit(); limit > 0 {
		cfg.Pulse, cfg.PulseEvery = parent.Beat, min(max(limit/8, 5*time.Millisecond), time.Second)
	}
	return parent
}
