package harness

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// SeedVar sets the seed, to repeat a test's choices.
const SeedVar = "SEED"

// Seed returns a random seed, or the one that SEED sets. It is printed when the test fails.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(SeedVar); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s is %q: give it a number", SeedVar, text)
		}
	}
	l := TimelineOf(t)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seeds = append(l.seeds, fmt.Sprintf("%s=%d repeats the choices of this run", SeedVar, seed))
	return seed
}

// Chance returns a source of chance for one use: the same seed and number, the same choices, whatever other sources are asked.
func Chance(seed, number uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, number)) }

// Step is one entry of a schedule.
type Step struct {
	Kind  string        // what is done
	Part  int           // to which of the parts
	After time.Duration // the step before
	For   time.Duration // how long it lasts, for what is taken back
}

// Choice is a kind of step and what a schedule may choose for it.
type Choice struct {
	Kind      string
	Weight    int           // how often, against the others
	Parts     int           // how many parts it can be done to
	Least     time.Duration // the shortest it lasts
	Most      time.Duration // the longest
	Mandatory int           // at least so many times in a schedule
}

// Schedule draws n steps with pauses up to pause between them. The same seed gives the same schedule.
func Schedule(seed uint64, n int, pause time.Duration, choices ...Choice) []Step {
	chance := Chance(seed, 0x5ced)
	var kinds []int
	for i, c := range choices {
		for range c.Mandatory {
			kinds = append(kinds, i)
		}
	}
	total := 0
	for _, c := range choices {
		total += c.Weight
	}
	for len(kinds) < n && total > 0 {
		at, i := chance.IntN(total), 0
		for ; at >= choices[i].Weight; i++ {
			at -= choices[i].Weight
		}
		kinds = append(kinds, i)
	}
	chance.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	steps := make([]Step, len(kinds))
	for i, k := range kinds {
		c := choices[k]
		steps[i] = Step{Kind: c.Kind, Part: chance.IntN(max(c.Parts, 1)), After: between(chance, 0, pause), For: between(chance, c.Least, c.Most)}
	}
	return steps
}

func between(chance *rand.Rand, least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(chance.Int64N(int64(most-least)))
}
