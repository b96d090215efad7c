package arch

import "testing"

func TestWallClockBites(t *testing.T) {
	at := func(statement string) map[string]string {
		return map[string]string{"bridge/a.go": "package p\n\nimport (\n\t\"time\"\n\t\"strings\"\n)\n\nfunc f(at time.Time, d time.Duration) {\n\t" + statement + "\n}\n"}
	}
	file := func(path, text string) map[string]string { return map[string]string{path: text} }
	runBites(t, CheckWallClock, []bite{
		{"the monotonic reading", at("_ = time.Since(at) < d && time.Now().After(at.Add(d))"), nil},
		{"a rounded duration", at("_ = d.Round(time.Second) + d.Truncate(d)"), nil},
		{"somebody else's function", at(`_ = strings.Date("x")`), nil},
		{"nanoseconds since 1970", at("_ = at.UnixNano()"), []string{"a.go:9: UnixNano reads a wall clock"}},
		{"seconds to a time", at("_ = time.Unix(1, 0)"), []string{"Unix reads a wall clock"}},
		{"a stripped reading", at("_ = at.Round(0)"), []string{"Round(0) reads a wall clock"}},
		{"another zone", at("_ = at.UTC()"), []string{"UTC reads a wall clock"}},
		{"tests are free", file("bridge/a_test.go", "package p\n\nimport \"time\"\n\nvar n = time.Now().UnixNano()\n"), nil},
		{"Python", file("examples/python/troupe.py", "import time\nx = time.monotonic()\ny = time.time()\n"), []string{"troupe.py:3:"}},
		{"Python's dates", file("examples/python/troupe.py", "from datetime import datetime\n"), []string{"troupe.py:1:"}},
		{"C", file("bridge/zmqsock/shim.c", "clock_gettime(CLOCK_MONOTONIC, &t);\ngettimeofday(&t, 0);\n"), []string{"shim.c:2:"}},
	})
}
