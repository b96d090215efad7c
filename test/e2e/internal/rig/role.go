package rig

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/test/harness"
)

// Role is what a process made from the test binary does. Its context ends when the test closes its input; it returns what went wrong.
type Role = harness.Role

// Stage is a role's connection to its test.
type Stage = harness.Stage

// Main is TestMain: it runs the tests, which must leave no goroutine behind, or in a child the role it was made for.
func Main(m *testing.M, roles map[string]Role) {
	harness.Roles(roles)
	goleak.VerifyTestMain(m)
}
