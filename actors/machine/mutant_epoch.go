//go:build troupe_mutant_epoch

package machine

// This build is wrong on purpose: messages are taken whatever epoch they come under. test/chaos builds it, to see that it notices.
const (
	checksEpoch  = false
	doublesReply = false
)
