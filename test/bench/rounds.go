package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// measure takes all experiments that the rows need, round by round. Whoever fails is not tried again.
func (h *house) measure(ctx context.Context, wanted []row, start time.Time) (results, error) {
	done := results{values: map[string][]values{}, failed: map[string]error{}}
	turns := needed(wanted)
	for done.rounds < h.rounds {
		began := time.Now()
		for _, pair := range turns {
			for _, e := range inTurn(pair, done.rounds) {
				h.try(ctx, e, &done)
				if ctx.Err() != nil {
					return done, context.Cause(ctx)
				}
			}
		}
		done.rounds++
		fmt.Fprintf(os.Stderr, "round %d of %d: %.0f s\n", done.rounds, h.rounds, time.Since(began).Seconds())
		if h.budget > 0 && time.Since(start)+time.Since(began) > h.budget {
			break
		}
	}
	return done, nil
}

func (h *house) try(ctx context.Context, e experiment, done *results) {
	if done.failed[e.name] != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sceneDeadline)
	defer cancel()
	err := h.need(e.needs...)
	var found values
	if err == nil {
		found, err = e.run(ctx, h)
	}
	if err != nil {
		done.failed[e.name] = fmt.Errorf("%s: %w", e.name, err)
		return
	}
	done.values[e.name] = append(done.values[e.name], found)
}

// inTurn returns the pair in the order of the round.
func inTurn(pair []experiment, round int) []experiment {
	if round%2 == 0 {
		return pair
	}
	turned := slices.Clone(pair)
	slices.Reverse(turned)
	return turned
}

// needed returns the pairs without the experiments that no row reads.
func needed(wanted []row) [][]experiment {
	read := map[string]bool{}
	for _, r := range wanted {
		read[r.mine.experiment], read[r.other.experiment] = true, true
	}
	var turns [][]experiment
	for _, pair := range pairs {
		var left []experiment
		for _, e := range pair {
			if read[e.name] {
				left = append(left, e)
			}
		}
		if len(left) > 0 {
			turns = append(turns, left)
		}
	}
	return turns
}
