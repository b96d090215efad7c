package harness

import (
	"os/exec"
	"runtime"
	"testing"

	"github.com/troupe-mq/troupe/supervision/process"
)

// Starvation keeps cores busy until End.
type Starvation struct {
	timeline *Timeline
	burning  []*process.Process
}

// Starve keeps all cores busy by so many processes per core that compute and nothing else. It ends with the test, or before that by End.
func Starve(t testing.TB, perCore int) *Starvation {
	t.Helper()
	s := &Starvation{timeline: TimelineOf(t)}
	t.Cleanup(s.End)
	for range perCore * runtime.NumCPU() {
		p, err := process.Start(exec.Command("/bin/sh", "-c", "while :; do :; done"), process.Config{Name: "starve"})
		if err != nil {
			t.Fatal(err)
		}
		s.burning = append(s.burning, p)
	}
	s.timeline.Note(Fault, "starve", "%d processes compute on %d cores", len(s.burning), runtime.NumCPU())
	return s
}

// End stops the processes. It may be called twice, but not by two goroutines at the same time.
func (s *Starvation) End() {
	if len(s.burning) == 0 {
		return
	}
	for _, p := range s.burning {
		p.Kill()
	}
	s.burning = nil
	s.timeline.Note(Mended, "starve", "the cores are free")
}
