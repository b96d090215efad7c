package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/examples/internal/crew"
	"github.com/troupe-mq/troupe/examples/internal/netns"
	"github.com/troupe-mq/troupe/patterns/pool"
)

// fleet is all members, and a guest who asks.
type fleet struct {
	options
	out   io.Writer
	site  *site
	all   *crew.Crew
	guest *pool.Member
	want  int // lines, by a single process
}

// command starts the fleet, asks, breaks three members in the middle of a question, and asks again.
func (o options) command(ctx context.Context, out io.Writer) (err error) {
	f := &fleet{options: o, out: out, all: crew.New()}
	if err := f.alone(); err != nil {
		return err
	}
	s, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	defer f.all.End()
	if err := f.start(s); err != nil {
		return err
	}
	f.site, f.directory, f.member = s, s.hosts[0].directory, 0
	if err := f.meet(ctx); err != nil {
		return err
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	defer func() { err = errors.Join(err, f.guest.Close(end)) }()
	n := hosts * o.perHost
	if err := f.ask(ctx, 0, nil, n); err != nil {
		return err
	}
	if err := f.ask(ctx, 4*silence, f.breakThree, n-3); err != nil {
		return err
	}
	return f.ask(ctx, 0, nil, n-3)
}

// alone counts in this process.
func (f *fleet) alone() error {
	began := time.Now()
	for i := range hosts * f.perHost {
		s, err := f.load(i)
		if err != nil {
			return err
		}
		f.want += s.count(f.text)
	}
	fmt.Fprintf(f.out, "one process finds %d lines with %q (reading included: %v)\n", f.want, f.text, time.Since(began).Round(time.Millisecond))
	return nil
}

// start starts all members. The hosts with a higher number name those below.
func (f *fleet) start(s *site) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for i := range hosts * f.perHost {
		at, h := i/f.perHost, s.hosts[i/f.perHost]
		var peers []string
		for _, other := range s.hosts[:at] {
			peers = append(peers, other.listen)
		}
		words := netns.In(h.namespace, self, "-member", fmt.Sprint(i), "-root", f.root, "-files", fmt.Sprint(f.most), "-per-host", fmt.Sprint(f.perHost), "-run-dir", h.directory,
			"-listen", h.listen, "-peers", strings.Join(peers, ","), "-keys", s.keys)
		if err := f.all.Start(fmt.Sprint("m", i), os.Stderr, words[0], words[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// meet waits until all members are there.
func (f *fleet) meet(ctx context.Context) error {
	limit := time.Now().Add(time.Minute)
	for seen := 0; ; {
		if f.guest == nil {
			cfg := f.place("guest")
			cfg.Listen = ""
			f.guest, _ = pool.Dial(ctx, cfg) // while there is no master, nobody can be a guest
		}
		if f.guest != nil {
			if book, err := f.guest.Ask(ctx, []byte(`{}`), pool.Options{Deadline: silence}).Ledger(); err == nil {
				seen = book.Count("answered")
			}
		}
		switch {
		case seen == hosts*f.perHost:
			fmt.Fprintf(f.out, "%d members on %d hosts, each with a master of its own\n", seen, hosts)
			return nil
		case time.Now().After(limit):
			return fmt.Errorf("only %d members have come in a minute", seen)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ask asks all, and compares. In the middle, when the first shard of each member was searched, it does what is asked for.
func (f *fleet) ask(ctx context.Context, pause time.Duration, middle func(context.Context) error, answered int) error {
	body, err := json.Marshal(search{f.text, pause})
	if err != nil {
		return err
	}
	began, shards, parts := time.Now(), make(map[int]int), 0
	q := f.guest.Ask(ctx, body, pool.Options{Deadline: time.Minute})
	for a, err := range q.Answers() {
		var lost *pool.MemberError
		switch {
		case errors.As(err, &lost):
			continue // the ledger has it
		case err != nil:
			return err
		case a.End:
			continue
		}
		var part found
		if err := json.Unmarshal(a.Body, &part); err != nil {
			return fmt.Errorf("%s says %q: %w", a.Member, a.Body, err)
		}
		shards[part.Shard] = part.Lines // a second copy says the same
		if parts++; parts == hosts*f.perHost && middle != nil {
			if err := middle(ctx); err != nil {
				return err
			}
		}
	}
	book, err := q.Ledger()
	if err != nil {
		return err
	}
	return f.compare(shards, book, answered, time.Since(began))
}

func (f *fleet) compare(shards map[int]int, book pool.Ledger, answered int, took time.Duration) error {
	got := 0
	for _, n := range shards {
		got += n
	}
	fmt.Fprintf(f.out, "the fleet finds %d in %v: %d members have answered", got, took.Round(time.Millisecond), book.Count("answered"))
	for _, e := range book.Entries {
		if e.State == "lost" {
			fmt.Fprintf(f.out, ", %s on %s is lost: %s", e.Name, e.HostName, e.Verdict)
		}
	}
	fmt.Fprintln(f.out)
	switch {
	case got != f.want || len(shards) != hosts*f.perHost:
		return fmt.Errorf("%d lines in %d shards, %d in %d were expected", got, len(shards), f.want, hosts*f.perHost)
	case book.Count("answered") < answered:
		return fmt.Errorf("%d members have answered, %d were expected", book.Count("answered"), answered)
	}
	return nil
}

// breakThree kills a member of the first host, freezes one of the last, and stops the master of the one between, so that no two of them hold the same shard.
func (f *fleet) breakThree(ctx context.Context) error {
	master, err := f.masterOf(ctx, 1)
	if err != nil {
		return err
	}
	last, err := f.masterOf(ctx, 2)
	if err != nil {
		return err
	}
	frozen := 0
	for frozen == master || frozen == last {
		frozen++
	}
	killed := 0
	for killed == master || killed == frozen {
		killed++
	}
	for _, x := range []struct {
		member int
		signal syscall.Signal
		told   string
	}{
		{killed, syscall.SIGKILL, "is killed"}, {2*f.perHost + frozen, syscall.SIGSTOP, "is frozen"}, {f.perHost + master, syscall.SIGSTOP, "is stopped: the master of its host"},
	} {
		fmt.Fprintf(f.out, "  m%d %s\n", x.member, x.told)
		if err := f.all.Signal(fmt.Sprint("m", x.member), x.signal); err != nil {
			return err
		}
	}
	return nil
}

// masterOf returns which member of a host is its master.
func (f *fleet) masterOf(ctx context.Context, host int) (place int, err error) {
	there := f.options
	there.directory = f.site.hosts[host].directory
	all, _, err := pool.Look(ctx, there.place("guest"))
	if err != nil {
		return 0, err
	}
	for _, s := range all {
		if s.Role == "master" {
			_, err := fmt.Sscanf(s.Name, "m%d", &place)
			return place % f.perHost, err
		}
	}
	return 0, fmt.Errorf("host %d has no master", host)
}
