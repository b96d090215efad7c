// Package program serves hits by processes, one for each hit, which take calls on their standard input and answer on their standard
// output, so that a shell script can be a service.
package program
