//go:build !troupe_mutant_lease

package assigner

// keepsLease is what a wrong build leaves out, see tenure_mutant.go.
const keepsLease = true
