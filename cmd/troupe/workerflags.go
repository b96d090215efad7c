package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/cmd/troupe/internal/demo"
	"github.com/troupe-mq/troupe/cmd/troupe/internal/program"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/supervision"
)

// workersEnv names the variable with the broker's endpoint for workers.
const workersEnv = "TROUPE_WORKERS"

type workerFlags struct {
	brokers  []string
	name     string
	key      string
	services []string
	labels   map[string]string
	command  string
	framing  choice
	slots    int
	maxSlots int
	backlog  int
	slotIdle time.Duration
	threads  choice
	keep     bool
	lease    time.Duration
	repair   choice
	writeOff time.Duration
	zombies  int
	drain    time.Duration
	patience time.Duration
	maxBody  size
	perFrame bool
	profile  string

	directBind, directAdvertise string
	insecure                    bool

	supervised bool
	guard      keepFlags
}

func (f *workerFlags) add(flags *pflag.FlagSet) {
	f.maxBody = size(assigner.DefaultBrokerConfig().MaxBody)
	flags.StringSliceVar(&f.brokers, "broker", []string{assigner.DefaultWorkers}, "the broker's endpoint for workers (or $"+workersEnv+"); may be repeated: all share the slots")
	flags.StringVar(&f.key, "key", "", keyUsage)
	flags.StringVar(&f.name, "name", "", "unique at the broker (default host and process id)")
	flags.StringSliceVar(&f.services, "service", nil, "service to offer; may be repeated (default all demo services)")
	flags.StringToStringVar(&f.labels, "label", nil, "NAME=VALUE that tasks may select workers by (call --where); may be repeated")
	flags.StringVar(&f.command, "exec", "", "command that serves a hit of --service")
	flags.Var(&f.framing, "framing", "how the command reads calls and writes replies: lines or blocks")
	flags.IntVar(&f.slots, "slots", 8, "hits served at the same time")
	flags.IntVar(&f.maxSlots, "max-slots", 0, "how far the slots grow while hits find none free; 0: not at all")
	flags.IntVar(&f.backlog, "backlog", 0, "how many hits beyond --slots are taken, whose calls wait at the worker for their turn; the broker's queue shows them no more")
	flags.DurationVar(&f.slotIdle, "slot-idle", 30*time.Second, "after how long an idle slot above --slots is retired")
	flags.Var(&f.threads, "threads", "pinned: each hit has an OS thread of its own; shared: it has not, which is faster")
	flags.BoolVar(&f.keep, "keep-threads", false, "keep a hit's thread for a later hit instead of ending it")
	flags.DurationVar(&f.lease, "lease", 0, "how long a call may run without a sign of progress before it is stuck, where that is longer than the broker's --stuck")
	flags.Var(&f.repair, "repair", "what is done about a call that is stuck: tell (it is shown), fail (its client is told at once), restart (what may run again goes to another worker), or default (fail with --lease, else tell)")
	flags.DurationVar(&f.writeOff, "write-off", 0, "how long a session may take to come back that was asked to end, before its thread is written off and its slot gets a new one; less than nothing: never (default 5s and three times --patience)")
	flags.IntVar(&f.zombies, "max-zombies", supervision.DefaultMaxZombies, "how many threads may have been written off and not have come back before the worker ends with exit code 70; -1: any number")
	flags.DurationVar(&f.drain, "drain", 10*time.Second, "how long SIGTERM waits for open hits; 0: not at all")
	flags.DurationVar(&f.patience, "patience", time.Second, "how long a command may take to answer SIGINT, to end after its input, and to end after SIGTERM")
	flags.Var(&f.maxBody, "max-body", "largest body of a call or a reply")
	flags.StringVar(&f.directBind, "direct-bind", "", "endpoint to bind for direct hits, as tcp://127.0.0.1:0 (default none are served)")
	flags.StringVar(&f.directAdvertise, "direct-advertise", "", "host that clients of direct hits are told, in place of that of --direct-bind")
	flags.BoolVar(&f.insecure, "insecure", false, "allow a --direct-bind that other machines can reach: there is no encryption yet")
	flags.BoolVar(&f.supervised, "supervised", false, "run the worker as the child of a supervisor that starts it again")
	f.guard.add(flags, "with --supervised: ")
	flags.BoolVar(&f.perFrame, "per-frame", false, "use the binding's per-frame calls in place of the batch shim")
	flags.StringVar(&f.profile, "cpuprofile", "", "write a processor profile to this file")
	_ = flags.MarkHidden("per-frame") // both exist
	_ = flags.MarkHidden("cpuprofile")
}

// checkSlots judges how many hits the worker is to take.
func (f *workerFlags) checkSlots() error {
	switch {
	case f.slots < 1 || f.slots > wire.MaxSlots:
		return fmt.Errorf("--slots is %d: from 1 to %d are possible", f.slots, wire.MaxSlots)
	case f.maxSlots != 0 && (f.maxSlots < f.slots || f.maxSlots > wire.MaxSlots):
		return fmt.Errorf("--max-slots is %d with %d --slots: from as many to %d are possible, or 0", f.maxSlots, f.slots, wire.MaxSlots)
	case f.backlog < 0 || f.slots+f.backlog > wire.MaxSlots:
		return fmt.Errorf("--backlog is %d with %d --slots: together from %d to %d are possible", f.backlog, f.slots, f.slots, wire.MaxSlots)
	case f.backlog > 0 && f.maxSlots > f.slots:
		return fmt.Errorf("--backlog is %d with --max-slots %d above --slots %d: leave one of the two out", f.backlog, f.maxSlots, f.slots)
	case f.slotIdle <= 0:
		return fmt.Errorf("--slot-idle is %v: it must be longer than nothing, as in 30s", f.slotIdle)
	}
	return nil
}

// config turns flags into the worker's configuration; services that programs serve are added by programs.
func (f *workerFlags) config(a *app) (assigner.WorkerConfig, error) {
	threads := assigner.Pinned
	if f.threads.String() == "shared" {
		threads = assigner.Goroutines
	}
	c := assigner.WorkerConfig{
		Brokers: f.brokers, Name: f.name, Slots: f.slots, MaxSlots: f.maxSlots, Backlog: f.backlog, SlotIdle: f.slotIdle,
		Stop: 5*time.Second + 3*f.patience, WriteOff: max(f.writeOff, -1), MaxBody: int(f.maxBody), PerFrame: f.perFrame, Logger: a.logger,
		DirectBind: f.directBind, DirectAdvertise: f.directAdvertise, Insecure: f.insecure, System: newSystem(a.logger),
		Watch: assigner.WatchConfig{MaxZombies: f.zombies}, Labels: f.labels,
	}
	if err := wire.CheckLabels(wire.Ready, f.labels); err != nil {
		return c, fmt.Errorf("--label: %w", err)
	}
	var err error
	if c.Key, err = loadKey(f.key); err != nil {
		return c, err
	}
	if err := f.checkSlots(); err != nil {
		return c, err
	}
	switch {
	case len(f.name) > wire.MaxName:
		return c, fmt.Errorf("--name has %d bytes: at most %d are possible", len(f.name), wire.MaxName)
	case f.drain < 0 || f.patience <= 0:
		return c, fmt.Errorf("--drain is %v and --patience is %v: they may not be negative, nor the patience zero", f.drain, f.patience)
	case f.zombies == 0 || f.zombies < -1:
		return c, fmt.Errorf("--max-zombies is %d: it must be at least 1, or -1 for any number", f.zombies)
	case f.lease < 0:
		return c, fmt.Errorf("--lease is %v: it may not be negative; 0 leaves it to the broker's --stuck", f.lease)
	case f.keep && threads == assigner.Goroutines:
		return c, errors.New("--keep-threads with --threads shared: shared hits have no thread to keep: leave one of the two out")
	case f.command != "" && len(f.services) == 0:
		return c, errors.New("--exec without --service: name the service that the command serves, as in --service upper")
	case f.command == "" && f.framing.String() == "blocks":
		return c, errors.New("--framing without --exec: the demo services run no command: leave it out")
	}
	defer func() { f.setTerms(c.Services) }()
	c.Services = demo.Services(threads, f.keep)
	if f.command == "" && len(f.services) > 0 {
		return c, f.choose(c.Services)
	}
	if f.command != "" {
		clear(c.Services)
		for _, name := range f.services {
			if err := wire.CheckService([]byte(name)); err != nil {
				return c, fmt.Errorf("--service: %w", err)
			}
			c.Services[name] = assigner.Service{Threads: threads, KeepThread: f.keep}
		}
	}
	return c, nil
}

// setTerms gives all services what is asked for their calls.
func (f *workerFlags) setTerms(services map[string]assigner.Service) {
	for name, s := range services {
		s.Lease = f.lease
		if r := f.repair.String(); r != "default" {
			s.Repair = assigner.Repair(r)
		}
		services[name] = s
	}
}

// choose leaves the services that were asked for.
func (f *workerFlags) choose(all map[string]assigner.Service) error {
	for _, name := range f.services {
		if _, known := all[name]; !known {
			return fmt.Errorf("--service %s: no demo service has this name: there are %s; for one of your own add --exec", name,
				strings.Join(slices.Sorted(maps.Keys(all)), ", "))
		}
	}
	maps.DeleteFunc(all, func(name string, _ assigner.Service) bool { return !slices.Contains(f.services, name) })
	return nil
}

// programs lets the services be served by the command, if there is one. The returned function ends programs that are left.
func (f *workerFlags) programs(a *app, c *assigner.WorkerConfig) (stop func()) {
	if f.command == "" {
		return func() {}
	}
	starter := program.NewStarter()
	framing := program.Lines
	if f.framing.String() == "blocks" {
		framing = program.Blocks
	}
	run := program.Config{Command: f.command, Framing: framing, Patience: f.patience, MaxReply: int(f.maxBody), Starter: starter, Errors: program.NewErrors(a.err)}
	for name, service := range c.Services {
		service.Open = run.Open
		c.Services[name] = service
	}
	return starter.Close
}

func describeDemos() string {
	text := &strings.Builder{}
	for _, name := range slices.Sorted(maps.Keys(demo.About)) {
		fmt.Fprintf(text, "  %-10s %s\n", name, demo.About[name])
	}
	return strings.TrimRight(text.String(), "\n")
}

func describedDemos() []string {
	var all []string
	for name, about := range demo.About {
		all = append(all, name+"\t"+about)
	}
	slices.Sort(all)
	return all
}

// firstOf returns the first value that is not empty.
func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
