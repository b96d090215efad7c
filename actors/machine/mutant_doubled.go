//go:build troupe_mutant_doubled

package machine

// This build is wrong on purpose: now and then a reply is passed on twice. test/chaos builds it, to see that it notices.
const (
	checksEpoch  = true
	doublesReply = true
)
