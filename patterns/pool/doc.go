// Package pool lets any member of a pool ask all others, on its own host and on other hosts, and know of each what became of its answer.
//
// The members of a host elect a master among themselves, with the kernel as arbiter: a run directory has one file per term, and the lock on it lives as long as its master. Members have
// one connection to their master, masters have one to each other's host. An asker keeps a ledger: who was asked, and who has answered, failed, left, or was lost, with the verdict. A
// master that hangs is replaced when a majority of its host's members has seen for itself that it does: docs/pool.md, and docs/protocol/pool.md for what is said on the wire.
package pool
