// Package resume proves that hits outlive the connections and the processes of their clients, in Go and in Python: the same thread, the same state, no
// answer lost or heard twice, and that tickets which do not fit harm nobody. Clients are processes of their own, which are killed.
package resume
