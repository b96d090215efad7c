// Package machine is a member of a pool without its sockets, clocks and processes: elections, votes, ledgers and views joined into a Node, which is given what happens and says what
// is to be done. The same Node runs in a member's loop (package pool) and, by the thousand, under the simulated network of this package's tests. It is pure.
package machine
