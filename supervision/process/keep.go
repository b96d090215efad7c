package process

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/troupe-mq/troupe/supervision/keeper"
	"github.com/troupe-mq/troupe/supervision/notify"
)

// KeepConfig says which program is kept running, and how.
type KeepConfig struct {
	// Name is what the child is called in what is told; default: its program's.
	Name string
	// Command makes the command of each start, with the environment and the streams that the child is to have. It gets NOTIFY_SOCKET and WATCHDOG_USEC in
	// addition, and is the leader of a process group that ends with it.
	Command func() *exec.Cmd
	Rules   keeper.Rules
	// Orders are signals that ask for the end: the first is passed on, the second too, and kills after Rules.Grace, the third kills.
	Orders <-chan os.Signal
	// Others are signals that are passed on and mean nothing else; nil: there are none.
	Others <-chan os.Signal
	Logger *slog.Logger // told of every end and verdict; default: slog.Default()
	// OnReady, if not nil, is called when a child has said that it is ready, by READY=1.
	OnReady func(pid int)
}

// keep is the host of a keeper: one child after another. It belongs to one goroutine.
type keep struct {
	cfg    KeepConfig
	keeper *keeper.Keeper
	begun  time.Time
	order  os.Signal // the last one

	child *Process // nil: there is none at present
	ears  *notify.Listener
	pid   int // of the last child
	ready bool
}

// Keep runs the program and keeps it running, by its rules, until there is nothing left to keep; then it returns what its own process should end with: the
// exit code of the last child as shells count, 0 if it was told to end while there was none. When ctx ends the child is killed at once, and the error is the
// cause. The child cannot outlive the process that keeps it (see Start).
func Keep(ctx context.Context, cfg KeepConfig) (code int, err error) {
	if err := cfg.Rules.Validate(); err != nil {
		return 0, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	k := &keep{cfg: cfg, keeper: keeper.New(cfg.Rules), begun: time.Now()}
	defer k.close()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	code, over := k.step(keeper.Event{What: keeper.Begin})
	for !over {
		if at := k.keeper.Deadline(); at > 0 {
			timer.Reset(max(at-k.now(), 0))
		} else {
			timer.Stop()
		}
		select {
		case <-timer.C:
			code, over = k.step(keeper.Event{What: keeper.Tick})
		case <-k.gone():
			code, over = k.step(k.ended())
		case k.order = <-cfg.Orders:
			code, over = k.step(keeper.Event{What: keeper.Order})
		case s := <-cfg.Others:
			k.send(s)
		case <-ctx.Done():
			return 0, fmt.Errorf("process: %s is kept no longer: %w", k.cfg.Name, context.Cause(ctx))
		}
	}
	return code, nil
}

func (k *keep) now() time.Duration { return time.Since(k.begun) }

// gone is closed when the child has ended, and nil when there is none.
func (k *keep) gone() <-chan struct{} {
	if k.child == nil {
		return nil
	}
	return k.child.Done()
}

// step feeds the machine and carries out what it wants, with what follows from that.
func (k *keep) step(e keeper.Event) (code int, over bool) {
	fx := k.keeper.Step(k.now(), e)
	for len(fx) > 0 {
		f := fx[0]
		fx = fx[1:]
		switch f.Kind {
		case keeper.Start:
			fx = append(fx, k.keeper.Step(k.now(), k.start())...)
		case keeper.Look:
			fx = append(fx, k.keeper.Step(k.now(), k.look())...)
		case keeper.Pass:
			k.send(k.order)
		case keeper.Abort:
			k.send(syscall.SIGABRT)
		case keeper.Kill:
			k.send(syscall.SIGKILL)
		case keeper.Judge:
			k.judged(f)
		case keeper.Report:
			k.report(f.Report)
		case keeper.Over:
			return f.Code, true
		}
	}
	return 0, false
}

func (k *keep) send(s os.Signal) {
	if k.child != nil {
		_ = k.child.Signal(s) // it may have ended, which is told next
	}
}

// start starts the child with an ear of its own: what an earlier one has said late is not taken for its word.
func (k *keep) start() keeper.Event {
	k.ready = false
	ears, err := notify.Listen()
	if err != nil {
		return keeper.Event{What: keeper.Ended, End: keeper.End{Code: 1, Failed: err.Error()}, Random: rand.Float64()}
	}
	cmd := k.cfg.Command()
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(notify.Without(cmd.Env), ears.Env(k.cfg.Rules.Pulse)...)
	child, err := Start(cmd, Config{Name: k.cfg.Name, Family: true, Bare: true})
	if err != nil {
		ears.Close()
		return keeper.Event{What: keeper.Ended, End: keeper.End{Code: notFound, Failed: err.Error()}, Random: rand.Float64()}
	}
	k.child, k.ears, k.pid, k.cfg.Name = child, ears, child.PID(), child.Name()
	k.cfg.Logger.Info("the child is started", "child", child.Name(), "pid", child.PID())
	return keeper.Event{What: keeper.Started}
}

// notFound is the exit code of a program that cannot be started, as shells have it.
const notFound = 127

// look takes in what the child has said before it looks how it stands.
func (k *keep) look() keeper.Event {
	said := k.ears.Hear()
	if said.Ready && !k.ready {
		k.ready = true
		k.cfg.Logger.Info("the child is ready", "child", k.child.Name(), "pid", k.child.PID())
		if k.cfg.OnReady != nil {
			k.cfg.OnReady(k.child.PID())
		}
	}
	sight := keeper.Sight{Beats: said.Beats, Asked: said.Asked, Stopping: said.Stopping, Gives: said.Gives}
	switch k.child.Stand() {
	case Stopped:
		sight.Stand = keeper.Stands
	case Traced:
		sight.Stand = keeper.Traced
	default: // it runs, for all that is known
	}
	return keeper.Event{What: keeper.Looked, Seen: sight}
}

// ended takes the end of the child.
func (k *keep) ended() keeper.Event {
	code, signal := k.child.ExitCode()
	k.child = nil
	k.ears.Close()
	k.ears = nil
	return keeper.Event{What: keeper.Ended, End: keeper.End{Code: code, Signal: signal}, Random: rand.Float64()}
}

func (k *keep) close() {
	if k.child != nil {
		k.child.Kill()
		k.ears.Close()
	}
}
