//go:build !linux

package host

// Other systems have threads too, but the standard library does not tell their ids.
func threadID() int { return 0 }

func isMainThread() bool { return false }

func nameThread(string) (restore func()) { return func() {} }
