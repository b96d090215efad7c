package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/patterns/pool"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// poolSilence is the limit of the pools that are measured.
const poolSilence = time.Second

// place is a member of the pool: its number, its host's run directory and address, and the addresses of others.
func place(args []string) pool.Config {
	cfg := pool.Config{
		Pool: "bench", Name: "m" + args[0], RunDir: args[1], HostName: args[1], Listen: args[2], Silence: poolSilence, Labels: map[string]string{"n": args[0]},
		Logger: slog.New(slog.DiscardHandler),
	}
	if args[3] != "-" {
		cfg.Peers = strings.Split(args[3], ",")
	}
	return cfg
}

// member is in a pool and says back what it is asked.
func member(ctx context.Context, args []string) error {
	cfg := place(args)
	cfg.Handler = func(_ context.Context, q *pool.Query) ([]byte, error) { return q.Body(), nil }
	m, err := pool.Join(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	select {
	case <-m.Done():
	case <-ctx.Done():
	}
	return errors.Join(m.Err(), m.Close(context.WithoutCancel(ctx)))
}

// inquiry is a guest that measures.
type inquiry struct {
	*pool.Member
	ctx     context.Context
	members int
	hosts   []string // run directories
}

// inquire asks everybody so many times, then each member by itself, and tells times in ms and messages per question; then it kills a master, and stops the next one.
func inquire(ctx context.Context, args []string) (err error) {
	members, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("MEMBERS: %w", err)
	}
	times, err := strconv.Atoi(args[1])
	if err != nil || times < 1 {
		return fmt.Errorf("TIMES is %q: a number from 1 on", args[1])
	}
	g, err := pool.Dial(ctx, pool.Config{Pool: "bench", Name: "guest", RunDir: args[2], Silence: poolSilence, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close(context.WithoutCancel(ctx))) }()
	q := &inquiry{Member: g, ctx: ctx, members: members, hosts: args[2:]}
	found := map[string]float64{}
	for _, do := range []func() error{
		q.gather, func() error { return q.all(found, times) }, func() error { return q.pings(found) },
		func() error { return q.replace(found, "election_ms", syscall.SIGKILL, 0) },
		func() error { return q.replace(found, "hung_ms", syscall.SIGSTOP, poolSilence-poolSilence/10) }, // a master says something ten times within the limit
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

// status asks what the guest knows until that is good.
func (q *inquiry) status(good func(wire.Status) bool) error {
	for {
		s, err := q.Status(q.ctx)
		if err != nil || good(s) {
			return err
		}
		select {
		case <-time.After(500 * time.Microsecond):
		case <-q.ctx.Done():
			return context.Cause(q.ctx)
		}
	}
}

// gather waits until all members are known.
func (q *inquiry) gather() error {
	return q.status(func(s wire.Status) bool {
		n := 0
		for _, h := range s.View.Hosts {
			n += len(h.Members)
		}
		return n == q.members
	})
}

func (q *inquiry) all(found map[string]float64, times int) error {
	before, err := q.sent()
	if err != nil {
		return err
	}
	took := make([]float64, times)
	for i := range took {
		begun := time.Now()
		book, err := q.Ask(q.ctx, []byte("who is there?"), pool.Options{}).Ledger()
		if err != nil {
			return err
		}
		if n := book.Count("answered"); n != q.members {
			return fmt.Errorf("%d of %d members have answered", n, q.members)
		}
		took[i] = ms(begun)
	}
	after, err := q.sent()
	slices.Sort(took)
	found["p50"], found["p99"], found["messages"] = took[times/2], took[times*99/100], (after-before)/float64(times)
	return err
}

// pings asks each member by itself: the slowest of their medians.
func (q *inquiry) pings(found map[string]float64) error {
	const each = 11
	for n := range q.members {
		took := make([]float64, each)
		for i := range took {
			begun := time.Now()
			book, err := q.Ask(q.ctx, []byte("are you there?"), pool.Options{Labels: map[string]string{"n": strconv.Itoa(n)}}).Ledger()
			if err != nil {
				return err
			}
			if book.Count("answered") != 1 {
				return fmt.Errorf("member %d has not answered", n)
			}
			took[i] = ms(begun)
		}
		slices.Sort(took)
		found["slowest_p50"], found["slowest"] = max(found["slowest_p50"], took[each/2]), max(found["slowest"], took[each-1])
	}
	return nil
}

// sent is how many messages about questions all members have sent so far.
func (q *inquiry) sent() (float64, error) {
	var n uint64
	for _, dir := range q.hosts {
		all, silent, err := pool.Look(q.ctx, pool.Config{Pool: "bench", RunDir: dir, Logger: slog.New(slog.DiscardHandler)})
		if err = errors.Join(err, silent); err != nil {
			return 0, err
		}
		for _, s := range all {
			n += s.Counters["sent_ask"] + s.Counters["sent_roster"] + s.Counters["sent_part"] + s.Counters["sent_done"]
		}
	}
	s, err := q.Status(q.ctx)
	return float64(n + s.Counters["sent_ask"] + s.Counters["sent_done"]), err
}

// replace signals the host's master and measures until there is another one, less so much.
func (q *inquiry) replace(found map[string]float64, name string, signal syscall.Signal, less time.Duration) error {
	s, err := q.Status(q.ctx)
	if err != nil {
		return err
	}
	for _, h := range s.View.Hosts {
		for _, m := range h.Members {
			if h.Host == s.Host && m.ID == s.Master {
				begun := time.Now()
				if err := syscall.Kill(m.PID, signal); err != nil {
					return err
				}
				err := q.status(func(now wire.Status) bool { return now.Term > s.Term && now.Role == "following" })
				found[name] = ms(begun.Add(less))
				return err
			}
		}
	}
	return errors.New("the host's master is not in the view")
}

func ms(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1e3 }
