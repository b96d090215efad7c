//go:build !troupe_mutant_epoch && !troupe_mutant_doubled

package machine

// What wrong builds leave out, see mutant_epoch.go and mutant_doubled.go.
const (
	checksEpoch  = true
	doublesReply = false
)
