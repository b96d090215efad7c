// Package wire has the words of POOL/1 (docs/protocol/pool.md): who is who, what members, masters and hosts say to each other, and how that is written down. It is pure.
package wire
