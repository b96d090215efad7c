package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// brokerGCPercent is the broker's garbage collection target where neither --gc-percent nor GOGC says otherwise.
const brokerGCPercent = 100

type brokerFlags struct {
	cfg             assigner.BrokerConfig
	admin           choice
	maxBody, window size
	maxKept         size
	policies        []string
	repairs         []string
	moveHit         size
	moveAll         size
	keepMemory      size
	drain           time.Duration
	gcPercent       int
	memory          size
	profile         string
}

func (f *brokerFlags) add(flags *pflag.FlagSet) {
	c := &f.cfg
	flags.StringSliceVar(&c.Clients, "client", c.Clients, "endpoint for clients, tcp or ipc; may be repeated (also --clients)")
	flags.StringSliceVar(&c.Workers, "worker", c.Workers, "endpoint for workers, tcp or ipc; may be repeated (also --workers)")
	flags.StringVar(&c.Name, "name", "", "what the broker calls itself (default host and process id)")
	flags.StringVar(&c.Keys, "keys", "", "folder of keys (see troupe keys): tcp is encrypted, and only listed keys come in (default $"+keysEnv+", else none)")
	flags.BoolVar(&c.Insecure, "insecure", false, "allow endpoints that other machines can reach without --keys; nothing is encrypted")
	flags.Var(&f.admin, "admin", "may clients list and kill (with --keys: those with the right): on, off, or auto (on unless --insecure)")
	flags.IntVar(&c.MaxQueue, "max-queue", c.MaxQueue, "opens that may wait per service while all slots are busy; 0: none")
	flags.DurationVar(&c.MaxWait, "max-wait", c.MaxWait, "how long an open may wait")
	flags.IntVar(&c.MaxCalls, "max-calls", c.MaxCalls, "calls of one hit that may be under way")
	flags.Var(&f.maxBody, "max-body", "largest body of a call or a reply")
	flags.Var(&f.window, "window", "bytes sent to a peer beyond what it has acknowledged")
	flags.DurationVar(&c.Heartbeat, "heartbeat", c.Heartbeat, "how often silent connections are probed")
	flags.DurationVar(&c.Silence, "silence", c.Silence, "silence of its transport after which a worker or client is given up")
	flags.DurationVar(&c.Stuck, "stuck", c.Stuck, "how long a call may run without a sign of its thread, where nothing asks for more; 0: for ever")
	flags.DurationVar(&c.Ask, "ask", c.Ask, "how long a worker may take to answer when another one claims its name")
	flags.DurationVar(&c.Grace, "grace", c.Grace, "how long after the start opens of services wait that nobody has offered yet; 0: not at all")
	flags.DurationVar(&c.MaxResume, "max-resume", c.MaxResume, "how long a hit may be kept without its client, if its open asks for that; 0: not at all")
	flags.Var(&f.maxKept, "max-kept", "answers kept per hit that can be resumed, until its client has acknowledged them")
	flags.StringToIntVar(&c.MinWorkers, "min-workers", nil, "SERVICE=N: how many workers it is to have before anything of it is given out; * for all others; may be repeated")
	flags.DurationVar(&c.Tasks.MaxKeep, "max-keep", c.Tasks.MaxKeep, "how long the answer of a task with an id may be kept, if its submission asks for that; 0: not at all")
	flags.Var(&f.keepMemory, "keep-memory", "answers kept of tasks with ids, all together")
	flags.IntVar(&c.Tasks.Most, "max-tasks", c.Tasks.Most, "tasks with ids, under way and kept")
	flags.StringSliceVar(&f.policies, "policy", nil, "which worker gets the next hit, as SERVICE=NAME, or NAME for all others; may be repeated: "+policyNames()+" (default least-busy)")
	flags.StringSliceVar(&f.repairs, "repair", nil, "what is done about calls whose worker fails them, as SERVICE=NAME, or NAME for all others; may be repeated: tell, fail, restart (default as the workers say)")
	flags.IntVar(&c.Repair.MaxMoves, "max-moves", c.Repair.MaxMoves, "how often a hit may go to another worker under --repair restart; 0: never")
	flags.Var(&f.moveHit, "move-kept", "calls kept per hit so that it can go to another worker")
	flags.Var(&f.moveAll, "move-memory", "the same, of all hits together")
	flags.DurationVar(&f.drain, "drain", 10*time.Second, "how long SIGTERM waits for open hits; 0: not at all")
	flags.IntVar(&f.gcPercent, "gc-percent", 0, "garbage collection target in percent; 0: GOGC, or the broker's own")
	flags.Var(&f.memory, "memory-limit", "soft limit of the broker's memory (default GOMEMLIMIT)")
	flags.BoolVar(&c.PerFrame, "per-frame", false, "use the binding's per-frame calls in place of the batch shim")
	flags.StringVar(&f.profile, "cpuprofile", "", "write a processor profile to this file")
	_ = flags.MarkHidden("per-frame") // both exist
	_ = flags.MarkHidden("cpuprofile")
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "clients" || name == "workers" {
			name = strings.TrimSuffix(name, "s")
		}
		return pflag.NormalizedName(name)
	})
}

// config turns flags into the broker's configuration, where zero often means the default.
func (f *brokerFlags) config(a *app) (assigner.BrokerConfig, error) {
	c := f.cfg
	c.MaxBody, c.Window, c.MaxKept = int(f.maxBody), int64(f.window), int(f.maxKept)
	c.Admin = map[string]assigner.AdminRight{"auto": assigner.AdminDefault, "on": assigner.AdminOn, "off": assigner.AdminOff}[f.admin.String()]
	for name, d := range map[string]time.Duration{"max-wait": c.MaxWait, "heartbeat": c.Heartbeat, "silence": c.Silence, "ask": c.Ask} {
		if d <= 0 {
			return c, fmt.Errorf("--%s is %v: it must be longer than nothing, as in 3s", name, d)
		}
	}
	switch {
	case c.MaxResume < 0:
		return c, fmt.Errorf("--max-resume is %v: it may not be negative; 0 keeps no hit without its client", c.MaxResume)
	case f.drain < 0 || c.Grace < 0 || c.Stuck < 0:
		return c, fmt.Errorf("--drain is %v, --grace is %v and --stuck is %v: none may be negative", f.drain, c.Grace, c.Stuck)
	case c.MaxQueue < 0 || c.MaxCalls < 1:
		return c, fmt.Errorf("--max-queue is %d and --max-calls is %d: they start at 0 and 1", c.MaxQueue, c.MaxCalls)
	case c.Tasks.MaxKeep < 0 || c.Tasks.Most < 1:
		return c, fmt.Errorf("--max-keep is %v and --max-tasks is %d: they start at 0 and 1", c.Tasks.MaxKeep, c.Tasks.Most)
	case f.gcPercent < 0:
		return c, fmt.Errorf("--gc-percent is %d: it may not be negative; for a fixed amount use --memory-limit", f.gcPercent)
	}
	var err error
	if c.Policies, err = policiesOf(f.policies); err != nil {
		return c, err
	}
	if c.Repair.Services, err = repairsOf(f.repairs); err != nil {
		return c, err
	}
	c.Repair.MaxHit, c.Repair.MaxAll = int(f.moveHit), int(f.moveAll)
	if c.Repair.MaxMoves == 0 {
		c.Repair.MaxMoves = -1
	}
	for _, ep := range append(append([]string{}, c.Clients...), c.Workers...) {
		if strings.HasPrefix(ep, "inproc:") {
			return c, fmt.Errorf("%s: inproc does not leave this process, where nobody would connect: use tcp or ipc", ep)
		}
	}
	if c.MaxResume == 0 {
		c.MaxResume = -1
	}
	if c.Tasks.Memory = int(f.keepMemory); c.Tasks.MaxKeep == 0 {
		c.Tasks.MaxKeep = -1
	}
	if c.MaxQueue == 0 {
		c.MaxQueue = -1
	}
	if c.Stuck == 0 {
		c.Stuck = -1
	}
	if c.Grace == 0 {
		c.Grace = -1
	}
	c.Logger, c.System = a.logger, newSystem(a.logger)
	return c, nil
}

// tune sets the garbage collector for a broker: little and short-lived garbage on top of a live heap that grows with the hits.
func (f *brokerFlags) tune() {
	switch {
	case f.gcPercent > 0:
		debug.SetGCPercent(f.gcPercent)
	case os.Getenv("GOGC") == "":
		debug.SetGCPercent(brokerGCPercent)
	}
	if f.memory > 0 {
		debug.SetMemoryLimit(int64(f.memory))
	}
}
