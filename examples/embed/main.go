// Command embed puts a bridge into an actor system that has a logger and a supervisor of its own: a plain ZeroMQ process talks to an actor by its
// name, the system talks to the process by its PID, watches it, and hears of its end. It exits with 0 only if all of that happened.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-mq/troupe/bridge"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "peer" {
		peer(os.Args[2])
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, os.Stdout, peerCommand(os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}

// run tells the whole story. The peer's command gets the bridge's address as its last argument.
func run(ctx context.Context, out io.Writer, peer []string) (err error) {
	logger := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn})).With("app", "embed")
	system := newSystem(logger)
	b, err := bridge.Start(ctx, bridge.Config{System: system, Logger: logger}, bridge.PlainConfig{Bind: []string{"tcp://127.0.0.1:0"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close(ctx)) }()
	fmt.Fprintln(out, "the bridge listens on", b.Addrs()[0])

	events := make(chan any, 10)
	parent, err := spawn(system, b, events)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, system.Root.StopFuture(parent).Wait()) }()

	process := exec.CommandContext(ctx, peer[0], append(peer[1:], b.Addrs()[0])...)
	process.Stdout, process.Stderr = out, out
	if err := process.Start(); err != nil {
		return fmt.Errorf("the peer does not start: %w", err)
	}
	defer func() { _ = process.Wait() }() // it was killed, which is no news
	defer func() { _ = process.Process.Kill() }()

	// The peer says something awkward, and then hello. The prompter fails, is restarted by its supervisor, and answers.
	if _, err := wait[*actor.Restarting](ctx, events); err != nil {
		return fmt.Errorf("the prompter was not restarted: %w", err)
	}
	fmt.Fprintln(out, "the prompter panicked and was restarted by its own supervisor; its name stays")
	hello, err := wait[*bridge.Message](ctx, events)
	if err != nil {
		return fmt.Errorf("no hello: %w", err)
	}
	fmt.Fprintf(out, "%q says: %s\n", hello.Identity, hello.Frame(0))

	// PID, Request and Watch, as with any actor.
	pid := b.PID("calculator")
	answer, err := system.Root.RequestFuture(pid, bridge.Frames{[]byte("6"), []byte("7")}, 10*time.Second).Result()
	if err != nil {
		return fmt.Errorf("no answer from %s: %w", pid.Id, err)
	}
	product, ok := answer.(*bridge.Message)
	if !ok {
		return fmt.Errorf("a peer answers with a %T", answer)
	}
	fmt.Fprintf(out, "asked %s for 6 times 7, it answers: %s\n", pid.Id, product.Frame(0))
	system.Root.Send(parent, watch{pid})
	if _, err := wait[watch](ctx, events); err != nil {
		return fmt.Errorf("nobody watches: %w", err)
	}
	if err := process.Process.Kill(); err != nil {
		return err
	}
	killed := time.Now()
	fmt.Fprintln(out, "killed process", process.Process.Pid)
	end, err := wait[*actor.Terminated](ctx, events)
	if err != nil {
		return fmt.Errorf("nobody heard of the peer's end: %w", err)
	}
	fmt.Fprintf(out, "Terminated: %s (%v), %v later\n", end.Who.Id, end.Why, time.Since(killed).Round(100*time.Microsecond))
	if _, err := system.Root.RequestFuture(pid, "still there?", 10*time.Second).Result(); !errors.Is(err, actor.ErrDeadLetter) {
		return fmt.Errorf("a request to a dead peer should be a dead letter, got: %w", err)
	}
	fmt.Fprintln(out, "a request to it fails at once; all of it happened")
	return nil
}

// newSystem is the user's own.
func newSystem(logger *slog.Logger) *actor.ActorSystem {
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return logger }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond), // a goroutine lives as long after each dead letter
	)
}

// wait returns the next event of a type.
func wait[T any](ctx context.Context, events <-chan any) (T, error) {
	for {
		select {
		case e := <-events:
			if t, ok := e.(T); ok {
				return t, nil
			}
		case <-ctx.Done():
			var none T
			return none, context.Cause(ctx)
		}
	}
}
