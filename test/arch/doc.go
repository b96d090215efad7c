// Package arch holds the house's rules as tests: which package may import
// which, what a pure package may not do, how long a file or function may be,
// what is documented, and what lies at the top level.
//
// Each rule is a function from a [Tree] to violations. The tests run every
// rule twice: over this repository, where it must find nothing, and over a
// small made-up tree that breaks it, where it must find exactly that.
package arch
