package station

import (
	"fmt"
	"log/slog"
	"os"
)

// Default gives a field that was left at its zero value its default.
func Default[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Logger returns a logger, or the process's own in place of none.
func Logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.Default()
	}
	return l
}

// ProcessName is how a part calls itself that was given no name: host and process id, at most 51 bytes.
func ProcessName() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%.40s-%d", host, os.Getpid())
}
