// Package lease tests that the bytes of a message stay whole on their way through mailboxes: package bridge lends them, the
// mailboxes of package host hold the lease, and neither may import the other.
package lease
