// Package demo holds the services that `troupe worker` offers by itself: to try things out, and to experiment with what goes wrong.
package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// About says what each service does, by name.
var About = map[string]string{
	"echo":     "answers with the body",
	"sha256":   "answers with the SHA-256 and the length of the body, which may come in parts",
	"blob":     "answers with as many zeros as the body says (1MiB), in parts",
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
		"sha256": digest, "blob": blob,
	}
	all := make(map[string]assigner.Service)
	for name, h := range handlers {
		all[name] = assigner.Service{Handler: h, Threads: threads, KeepThread: keep}
	}
	open := func(context.Context, *assigner.Opening) (assigner.Session, error) { return &counter{}, nil }
	all["count"] = assigner.Service{Open: open, Threads: threads, KeepThread: keep}
	return all
}

// echo sends back what it gets, as it comes.
func echo(_ context.Context, c *assigner.Call) ([]byte, error) {
	if c.Size() != 0 {
		out, err := c.Output(c.Size(), c.Frames...)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(out, c.Input())
		return nil, err
	}
	for _, frame := range c.Frames[1:] {
		c.More(frame)
	}
	return c.Body(), nil
}

// digest hashes the body, and what follows it in parts.
func digest(_ context.Context, c *assigner.Call) ([]byte, error) {
	hash := sha256.New()
	_, _ = hash.Write(c.Body())
	n, err := io.Copy(hash, c.Input())
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%x %d", hash.Sum(nil), int64(len(c.Body()))+n), nil
}

// blob sends zeros.
func blob(_ context.Context, c *assigner.Call) ([]byte, error) {
	text := orElse(c, "1MiB")
	unit := strings.TrimLeft(text, "0123456789")
	n, err := strconv.ParseInt(strings.TrimSuffix(text, unit), 10, 64)
	factor := map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}[unit]
	if err != nil || factor == 0 || n > 1<<50/factor {
		return nil, fmt.Errorf("%q is no size: write it as 4096, 64MiB or 2GiB", text)
	}
	out, err := c.Output(n * factor)
	if err != nil {
		return nil, err
	}
	_, err = io.CopyN(out, zeros{}, n*factor)
	return nil, err
}

type zeros struct{}

// Read is io.Reader's.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
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
	for err := error(unix.EINTR); errors.Is(err, unix.EINTR); {
		err = unix.Nanosleep(&left, &left)
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
