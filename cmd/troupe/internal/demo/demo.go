// Package demo holds the services that `troupe worker` offers by itself: to try things out, and to experiment with what goes wrong.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// About says what each service does, by name.
var About = map[string]string{
	"echo":     "answers with the body",
	"upper":    "answers with the body in capitals",
	"count":    "answers with the number of the call in its hit",
	"thread":   "answers with the id of the OS thread that serves the call",
	"sleep":    "waits as long as the body says (1s), unless it is cancelled",
	"spin":     "computes as long as the body says (1s), and does not hear that it is cancelled",
	"doze":     "sleeps in the kernel as long as the body says (1s), and does not hear that it is cancelled",
	"progress": "takes as many steps as the body says (5), 100 ms each, and reports each",
	"fail":     "answers with an error, the body",
	"panic":    "crashes with the body, and its session with it",
}

// Services returns all services, by name. A hit of one is served by threads; keep keeps a thread for a later hit.
func Services(threads assigner.Threads, keep bool) map[string]assigner.Service {
	handlers := map[string]assigner.Handler{
		"echo": echo, "upper": upper, "thread": thread, "sleep": sleep, "spin": spin, "doze": doze, "progress": progress, "fail": fail, "panic": crash,
	}
	all := make(map[string]assigner.Service)
	for name, h := range handlers {
		all[name] = assigner.Service{Handler: h, Threads: threads, KeepThread: keep}
	}
	open := func(context.Context, *assigner.Opening) (assigner.Session, error) { return &counter{}, nil }
	all["count"] = assigner.Service{Open: open, Threads: threads, KeepThread: keep}
	return all
}

func echo(_ context.Context, c *assigner.Call) ([]byte, error) {
	for _, frame := range c.Frames[1:] {
		c.More(frame)
	}
	return c.Body(), nil
}

func upper(_ context.Context, c *assigner.Call) ([]byte, error) { return bytes.ToUpper(c.Body()), nil }

func thread(context.Context, *assigner.Call) ([]byte, error) {
	return strconv.AppendInt(nil, int64(unix.Gettid()), 10), nil
}

// counter is the session of one hit.
type counter struct{ calls int }

// Call counts.
func (s *counter) Call(context.Context, *assigner.Call) ([]byte, error) {
	s.calls++
	return strconv.AppendInt(nil, int64(s.calls), 10), nil
}

// Close has nothing to do.
func (s *counter) Close() error { return nil }

func sleep(ctx context.Context, c *assigner.Call) ([]byte, error) {
	d, err := duration(c)
	if err != nil {
		return nil, err
	}
	return wait(ctx, d, "slept "+d.String())
}

func wait(ctx context.Context, d time.Duration, reply string) ([]byte, error) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return []byte(reply), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func spin(_ context.Context, c *assigner.Call) ([]byte, error) {
	d, err := duration(c)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
	return []byte("computed for " + d.String()), nil
}

// doze blocks its thread in a system call, as a native library that waits for a device does.
func doze(_ context.Context, c *assigner.Call) ([]byte, error) {
	d, err := duration(c)
	if err != nil {
		return nil, err
	}
	left := unix.NsecToTimespec(d.Nanoseconds())
	for err := unix.EINTR; errors.Is(err, unix.EINTR); {
		err, _ = unix.Nanosleep(&left, &left).(unix.Errno)
	}
	return []byte("dozed for " + d.String()), nil
}

func progress(ctx context.Context, c *assigner.Call) ([]byte, error) {
	steps := 5
	if text := string(c.Body()); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number of steps: send a number from 1, or nothing for 5", text)
		}
		steps = n
	}
	for i := 1; i <= steps; i++ {
		if _, err := wait(ctx, 100*time.Millisecond, ""); err != nil {
			return nil, err
		}
		c.Progress(float64(i)/float64(steps), fmt.Sprintf("step %d of %d", i, steps))
	}
	return fmt.Appendf(nil, "took %d steps", steps), nil
}

func fail(_ context.Context, c *assigner.Call) ([]byte, error) {
	return nil, errors.New(orElse(c, "failed, as it was asked to"))
}

func crash(_ context.Context, c *assigner.Call) ([]byte, error) {
	panic(orElse(c, "crashed, as it was asked to"))
}

func orElse(c *assigner.Call, text string) string {
	if len(c.Body()) > 0 {
		return string(c.Body())
	}
	return text
}

// duration reads the body as a duration, 1 s where it is empty.
func duration(c *assigner.Call) (time.Duration, error) {
	text := orElse(c, "1s")
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration: write it as 250ms or 2s", text)
	}
	return d, nil
}
