package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/patterns/pool"
)

// poolPlace is where a pool is found: the flags that all commands about pools share.
type poolPlace struct {
	runDir string
	wait   time.Duration
}

func (p *poolPlace) add(flags *pflag.FlagSet, wait time.Duration, what string) {
	flags.StringVar(&p.runDir, "run-dir", "", "where the pools of this host meet; default $XDG_RUNTIME_DIR/troupe-pool, else a folder of yours in the temporary one")
	if what != "" {
		flags.DurationVar(&p.wait, "timeout", wait, "how long to wait for "+what)
	}
}

func (a *app) poolCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "pool", Short: "Join a pool, and ask everybody in it", Args: cobra.NoArgs, RunE: needsCommand,
		Long: `Join a pool, and ask everybody in it. The members of a host elect a master among themselves; masters of several hosts are connected. Whoever asks gets all answers, and a ledger:
of each member whether it has answered, failed, left, or was lost, and why. There is no server to be started.`,
		Example: `  troupe pool join crew --exec 'grep -c ERROR /var/log/syslog' &
  troupe pool join crew --listen 10.0.0.1:5790 --peer 10.0.0.2:5790 --keys /etc/troupe/pool-keys &
  troupe pool ask crew 'how many?'
  troupe pool members crew`,
	}
	cmd.AddCommand(a.poolJoinCommand(), a.poolAskCommand(), a.poolMembersCommand(), a.poolStatusCommand(), a.poolWhyCommand())
	return cmd
}

// poolFailure gives an error of package pool its exit code, and the next command.
func poolFailure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pool.ErrNobody):
		return &coded{code: exitUnreachable, err: err}
	case errors.Is(err, pool.ErrEarly):
		return incomplete(err)
	case errors.Is(err, pool.ErrRunDir), errors.Is(err, pool.ErrTooLong), errors.Is(err, pool.ErrNoHost):
		return usage(err)
	}
	return err
}

// labelsOf reads NAME=VALUE.
func labelsOf(all []string) (map[string]string, error) {
	labels := make(map[string]string)
	for _, text := range all {
		k, v, ok := strings.Cut(text, "=")
		if !ok || k == "" {
			return nil, usage(fmt.Errorf("--label %q: write it as NAME=VALUE", text))
		}
		labels[k] = v
	}
	return labels, nil
}

type poolJoinFlags struct {
	poolPlace
	name, hostName, command string
	labels, peers           []string
	listen, keys            string
	insecure, noKill        bool
	silence, drain          time.Duration
	maxKept                 size
}

func (f *poolJoinFlags) config(a *app, name string) (pool.Config, error) {
	labels, err := labelsOf(f.labels)
	cfg := pool.Config{
		Pool: name, Name: f.name, RunDir: f.runDir, HostName: f.hostName, Labels: labels, Listen: f.listen, Peers: f.peers, Keys: f.keys, Insecure: f.insecure, NoKill: f.noKill,
		Silence: f.silence, MaxKept: int(f.maxKept), Logger: a.logger, Handler: echoBack,
	}
	if f.command != "" {
		cfg.Handler = a.execute(f.command)
	}
	if err == nil {
		err = cfg.Validate()
	}
	return cfg, err
}

func (a *app) poolJoinCommand() *cobra.Command {
	f := &poolJoinFlags{maxKept: 64 << 20}
	cmd := &cobra.Command{
		Use: "join POOL", Short: "Be a member of a pool until a signal", Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: `Be a member of a pool until SIGTERM or Ctrl-C. Each question is answered by a run of --exec, by /bin/sh -c: the question is its standard input, what it says on standard output is the
answer, part by part as it comes, and an exit status other than 0 makes it an error with the end of its standard error as text. When nobody wants the answer any more it is killed, with
its process group. Without --exec the question is said back.

A host whose master hangs kills it, by a majority of its living members and never with fewer than three: see docs/pool.md before you allow that. --no-kill forbids it for this member: it
neither kills, nor votes, nor may be killed.`,
		Example: `  troupe pool join crew --exec 'hostname; cat' --label disk=ssd
  troupe pool join crew --listen 127.0.0.1:5790`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := f.config(a, args[0])
			if err != nil {
				return usage(err)
			}
			return poolFailure(a.poolJoin(cmd, cfg, f))
		},
	}
	flags := cmd.Flags()
	f.add(flags, 0, "")
	flags.StringVar(&f.name, "name", "", "what the member is called (default its process id)")
	flags.StringVar(&f.hostName, "host-name", "", "what this host is called (default its own name)")
	flags.StringVar(&f.command, "exec", "", "command that answers a question")
	flags.StringArrayVar(&f.labels, "label", nil, "NAME=VALUE, for questions to some only; may be repeated")
	flags.StringVar(&f.listen, "listen", "", "HOST:PORT where the host's master listens for other hosts; the same for all members of a host")
	flags.StringSliceVar(&f.peers, "peer", nil, "HOST:PORT of another host's master; may be repeated")
	flags.StringVar(&f.keys, "keys", "", "folder of `troupe keys init`, the same on all hosts: what goes between hosts is encrypted")
	flags.BoolVar(&f.insecure, "insecure", false, "listen and connect beyond this machine without keys")
	flags.BoolVar(&f.noKill, "no-kill", false, "never kill a hung master, do not vote, and do not be killed")
	flags.DurationVar(&f.silence, "silence", 3*time.Second, "how long a member or a master may say nothing before it is FROZEN; the same for all members of a host")
	flags.DurationVar(&f.drain, "drain", 5*time.Second, "how long running questions may take at the end")
	flags.Var(&f.maxKept, "max-kept", "most bytes of answers kept until their askers have them")
	a.complete(cmd, "name", cobra.NoFileCompletions)
	return cmd
}

func (a *app) poolJoin(cmd *cobra.Command, cfg pool.Config, f *poolJoinFlags) error {
	signals := watchInterrupts(cmd.Context())
	defer signals.ignore()
	m, err := pool.Join(signals.drain, cfg)
	if err != nil {
		return err
	}
	s, err := m.Status(cmd.Context())
	if err != nil {
		return err
	}
	if a.json() {
		err = a.printJSON(map[string]any{"pool": cfg.Pool, "id": m.ID(), "name": s.Name, "pid": os.Getpid(), "host": s.HostName, "role": s.Role, "term": s.Term})
	} else {
		_, err = fmt.Fprintf(a.out, "joined   %s as %s (%s), process %d on %s\nrole     %s, term %d\nnext: troupe pool ask %s QUESTION\n", cfg.Pool, cell(s.Name), m.ID(), os.Getpid(), cell(s.HostName), s.Role, s.Term, cfg.Pool)
	}
	select {
	case <-signals.drain.Done():
	case <-m.Done():
		err = errors.Join(err, m.Err())
	}
	end, cancel := contextWithout(cmd, f.drain)
	defer cancel()
	return errors.Join(err, m.Close(end))
}
