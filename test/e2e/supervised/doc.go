// Package supervised tests `troupe supervise` with workers in Python; the command's own tests have those in Go.
package supervised
