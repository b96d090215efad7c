//go:build troupe_mutant_lease

package assigner

// This build is wrong on purpose: a worker serves direct hits however long it has not heard from its broker. test/chaos builds it, to see that it notices.
const keepsLease = false
