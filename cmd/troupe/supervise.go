package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
)

func (a *app) superviseCommand() *cobra.Command {
	f := &keepFlags{}
	cmd := &cobra.Command{
		Use:   "supervise [flags] -- PROGRAM [ARG...]",
		Short: "Keep a program running: a worker in any language, a broker, anything",
		Long: `Run a program as a child process, and start it again when it has ended, as --restart says, within the limits of --max-restarts.
"troupe worker --supervised" is the same for a worker of this command.

The child is ended and started again, too, when it stands still for longer than --frozen, which the kernel tells, and when it gives no pulse for
longer than --pulse. A program gives a pulse by the messages of sd_notify(3), WATCHDOG=1, as under systemd's WatchdogSec; it is held to that from the first one on.
Workers and brokers of Troupe do, in Go and in Python: theirs come from their loop. Code that keeps it from coming round for longer (a Python service that holds the
interpreter's lock, say) has to be declared, by a lease of its service.

SIGTERM and Ctrl-C are passed on, a second one too; --kill-after later the child is killed, and at the third at once. SIGUSR1 and SIGUSR2 are passed on. The child's input is
empty; what it says is not touched. It cannot outlive the supervisor, nor its process group the child. The exit code is that of the last child, 128 and the number of a
signal that ended it.`,
		Example: `  troupe supervise -- python3 worker.py
  troupe supervise --restart permanent --max-restarts 10 --restart-window 5m -- ./my-worker --slots 4`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			rules, err := f.rules()
			if err != nil {
				return usage(err)
			}
			if len(args) == 0 {
				return usage(errNoProgram)
			}
			return a.keepRunning(cmd.Context(), filepath.Base(args[0]), rules, func() *exec.Cmd { return a.child(args[0], args[1:]...) })
		},
	}
	f.add(cmd.Flags(), "")
	cmd.Flags().SetInterspersed(false) // what follows the program is the program's
	a.checks["supervise"] = func() error {
		_, err := f.rules()
		return err
	}
	return cmd
}

// superviseWorker runs this very command as a child, without --supervised. Its configuration has been looked at.
func (a *app) superviseWorker(cmd *cobra.Command, f *workerFlags) error {
	rules, err := f.guard.rules()
	if err == nil {
		_, err = f.config(a)
	}
	if err != nil {
		return usage(err)
	}
	rules.Final = []int{exitUsage}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	name := firstOf(f.name, defaultWorkerName())
	args := unsupervised(os.Args[1:], name)
	return a.keepRunning(cmd.Context(), "worker "+name, rules, func() *exec.Cmd { return a.child(self, args...) })
}

// defaultWorkerName is the name of a supervised worker, by the process that stays.
func defaultWorkerName() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// unsupervised returns the arguments of a worker without a supervisor, and with a name that stays when it is started again.
func unsupervised(args []string, name string) []string {
	end := len(args)
	if at := slices.Index(args, "--"); at >= 0 {
		end = at
	}
	return slices.Concat(args[:end], []string{"--supervised=false", "--name=" + name}, args[end:])
}
