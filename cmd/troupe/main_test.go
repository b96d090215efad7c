package main

import (
	"os"
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

// asTroupe makes the test binary the command: the tests run real processes of it.
const asTroupe = "TEST_AS_TROUPE"

func TestMain(m *testing.M) {
	if os.Getenv(asTroupe) != "" {
		main()
	}
	starts := make(chan func())
	go func() {
		runtime.LockOSThread() // children die with the thread that started them, so it has to be one that stays
		for start := range starts {
			start()
		}
	}()
	onThread0 = func(f func() error) error {
		done := make(chan error)
		starts <- func() { done <- f() }
		return <-done
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/troupe-mq/troupe/cmd/troupe.TestMain.func1"))
}
