package arch

import "testing"

func TestPureBites(t *testing.T) {
	at := func(source string) map[string]string { return map[string]string{"bridge/wire/a.go": source} }
	body := func(imports, statement string) map[string]string {
		return at("package p\n\nimport " + imports + "\n\nfunc f() {\n\t" + statement + "\n}\n")
	}
	bites := []bite{
		{"time as an argument", body(`"time"`, `var at time.Time; _ = at.Add(time.Second)`), nil},
		{"seeded chance", body(`"math/rand/v2"`, `_ = rand.New(rand.NewPCG(1, 2)).IntN(3)`), nil},
		{"somebody else's Now", at("package p\n\nfunc f(c interface{ Now() int }) int { return c.Now() }\n"), nil},
		{"a clock under another name", body(`clock "time"`, `_ = clock.Now`), []string{"a.go:6: pure package uses time.Now"}},
		{"global chance", body(`"math/rand/v2"`, `_ = rand.IntN(3)`), []string{"uses math/rand/v2.IntN"}},
		{"a goroutine", at("package p\n\nfunc f() { go f() }\n"), []string{"a.go:3: pure package has a go statement"}},
		{"a select", at("package p\n\nfunc f() { select {} }\n"), []string{"a select statement"}},
		{"a channel", at("package p\n\ntype t struct{ c chan int }\n"), []string{"a channel"}},
		{
			"its tests are free", map[string]string{"bridge/wire/a_test.go": "package p\n\nimport \"sync\"\n\nvar m sync.Mutex\n"}, nil,
		},
		{"an impure package is free", map[string]string{"bridge/a.go": "package p\n\nimport _ \"net\"\n\nfunc f() { go f() }\n"}, nil},
	}
	for _, name := range []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"} {
		bites = append(bites, bite{"time." + name, body(`"time"`, "_ = time."+name), []string{"uses time." + name}})
	}
	for _, banned := range []string{
		"sync", "sync/atomic", "log", "log/slog", "net", "net/http", "os", "os/exec", "syscall", "runtime", "context", "crypto/rand",
	} {
		bites = append(bites, bite{banned, at(importing(banned)), []string{"pure package imports " + banned}})
	}
	runBites(t, CheckPure, bites)
}

func TestSleepBites(t *testing.T) {
	const naps = "package p\n\nimport \"time\"\n\nvar nap = time.Sleep\n\nfunc f() { time.Sleep(1) }\n"
	runBites(t, CheckSleep, []bite{
		{"called and named", map[string]string{"test/chaos/a_test.go": naps}, []string{"a_test.go:5:", "a_test.go:7:"}},
		{"outside tests", map[string]string{"test/bench/a.go": naps}, nil},
		{"a clock is no sleep", map[string]string{"actors/a_test.go": "package p\n\nimport \"time\"\n\nvar at = time.Now\n"}, nil},
	})
}
