package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/supervision"
	"github.com/troupe-mq/troupe/supervision/keeper"
	proc "github.com/troupe-mq/troupe/supervision/process"
	"github.com/troupe-mq/troupe/supervision/restart"
)

// keepFlags say how a child process is kept.
type keepFlags struct {
	restart    choice
	restarts   int
	window     time.Duration
	backoff    time.Duration
	maxBackoff time.Duration
	frozen     time.Duration
	pulse      time.Duration
	grace      time.Duration
}

var restartTypes = map[string]restart.Type{"transient": restart.Transient, "permanent": restart.Permanent, "temporary": restart.Temporary}

// add adds the flags; of is what their descriptions begin with.
func (f *keepFlags) add(flags *pflag.FlagSet, of string) {
	f.restart = oneOf("transient", "permanent", "temporary")
	flags.Var(&f.restart, "restart", of+"when a child that has ended is started again: transient: unless its exit code was 0; permanent: always; temporary: never")
	flags.IntVar(&f.restarts, "max-restarts", restart.DefaultRestarts, of+"how often the child may be started again within --restart-window; one more, and the supervisor ends with its exit code")
	flags.DurationVar(&f.window, "restart-window", time.Minute, of+"see --max-restarts")
	flags.DurationVar(&f.backoff, "backoff", restart.DefaultMin, of+"the longest wait before the first start again; it doubles each time, up to --max-backoff, and begins anew after a run of --restart-window")
	flags.DurationVar(&f.maxBackoff, "max-backoff", 10*time.Second, of+"see --backoff")
	flags.DurationVar(&f.frozen, "frozen", 5*time.Second, of+"how long the child may stand still (SIGSTOP) before it is killed; 0: for ever")
	flags.DurationVar(&f.pulse, "pulse", 15*time.Second, of+"how long the loop of a child that gives a pulse may give none before the child is ended; 0: for ever")
	flags.DurationVar(&f.grace, "kill-after", 2*time.Second, of+"how long the child may take to end after a second signal, or after the SIGABRT that follows a missed pulse, before it is killed")
}

// rules returns what the flags ask for.
func (f *keepFlags) rules() (keeper.Rules, error) {
	r := keeper.Rules{
		Restart: restartTypes[f.restart.String()], Intensity: restart.Intensity{Restarts: f.restarts, Window: f.window},
		Backoff: restart.Backoff{Min: f.backoff, Max: f.maxBackoff}, Frozen: f.frozen, Pulse: f.pulse, Grace: f.grace,
		AtOnce: []int{supervision.ExitStuck},
	}
	switch {
	case f.restarts < 0 || f.window <= 0:
		return r, fmt.Errorf("--max-restarts is %d within --restart-window %v: the number may not be negative, and the time must be longer than nothing", f.restarts, f.window)
	case f.backoff <= 0 || f.maxBackoff < f.backoff:
		return r, fmt.Errorf("--backoff is %v up to --max-backoff %v: it must be longer than nothing, and not above its limit", f.backoff, f.maxBackoff)
	case f.frozen < 0 || f.pulse < 0 || f.grace < 0:
		return r, fmt.Errorf("--frozen is %v, --pulse %v, --kill-after %v: none may be negative; 0 means for ever for the first two", f.frozen, f.pulse, f.grace)
	case f.frozen > 0 && f.frozen < leastLimit || f.pulse > 0 && f.pulse < leastLimit:
		return r, fmt.Errorf("--frozen is %v, --pulse %v: below %v a busy machine is taken for a fault", f.frozen, f.pulse, leastLimit)
	}
	return r, r.Validate()
}

// leastLimit is the shortest limit a child can be given.
const leastLimit = 200 * time.Millisecond

// keepRunning runs the command that made makes, until it is not to be started again.
func (a *app) keepRunning(ctx context.Context, name string, rules keeper.Rules, made func() *exec.Cmd) error {
	orders, others := make(chan os.Signal, 4), make(chan os.Signal, 4)
	signal.Notify(orders, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(orders)
	signal.Notify(others, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(others)
	code, err := proc.Keep(ctx, proc.KeepConfig{Name: name, Command: made, Rules: rules, Orders: orders, Others: others, Logger: a.logger})
	if err != nil {
		return err
	}
	if code == exitOK {
		return nil
	}
	return &coded{code: code, err: fmt.Errorf("%s has ended with exit code %d, and is not started again", name, code), next: "the log above says why; --restart, --max-restarts and --restart-window say when"}
}

// child is a command that has this one's streams but for its input, which is empty.
func (a *app) child(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = a.out, a.err
	return cmd
}

// errNoProgram says that there is nothing to supervise.
var errNoProgram = errors.New("no program is named: put it behind the flags, as in `troupe supervise -- python3 worker.py`")
