// Package access says who a peer is and what it may: the public keys of peers, their rights, the file that lists both, and the one string by which
// a peer is given its key. It decides only; files, sockets and clocks are others'.
package access
