package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/patterns/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patient is the safety net of every wait.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// runDir is a short one: a Unix socket's path is 107 bytes at most.
func runDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pool") //nolint:usetesting // t.TempDir's path may be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func config(dir, name string) pool.Config {
	return pool.Config{
		Pool: "p", Name: name, RunDir: dir, HostName: "here", Logger: slog.New(slog.DiscardHandler),
		Handler: func(_ context.Context, q *pool.Query) ([]byte, error) {
			switch text := string(q.Body()); text {
			case "fail":
				return nil, errors.New("I cannot")
			case "panic":
				panic("oh no")
			case "parts":
				q.Send([]byte("one "))
				q.Send([]byte("two "))
				return []byte("three"), nil
			case "nothing":
				return nil, nil
			default:
				return []byte(name + " says " + text), nil
			}
		},
	}
}

func join(t *testing.T, cfg pool.Config) *pool.Member {
	t.Helper()
	m, err := pool.Join(patient(t), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close(patient(t))) })
	return m
}

// await waits until a member sees so many members in all.
func await(t *testing.T, m *pool.Member, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s, err := m.Status(patient(t))
		require.NoError(t, err)
		seen := 0
		for _, h := range s.View.Hosts {
			seen += len(h.Members)
		}
		return seen == n
	}, 30*time.Second, time.Millisecond)
}

func states(l pool.Ledger) string {
	var all []string
	for _, e := range l.Entries {
		all = append(all, e.Name+" "+e.State)
	}
	return strings.Join(all, ", ")
}

func TestAskEverybody(t *testing.T) {
	dir := runDir(t)
	a, b, c := join(t, config(dir, "a")), join(t, config(dir, "b")), join(t, config(dir, "c"))
	for _, m := range []*pool.Member{a, b, c} {
		answers, book, err := m.Ask(patient(t), []byte("hello"), pool.Options{}).Collect()
		require.NoError(t, err)
		require.True(t, book.Complete)
		require.Equal(t, "a answered, b answered, c answered", states(book))
		require.Equal(t, "b says hello", string(answers[b.ID()]))
	}
	answers, _, err := a.Ask(patient(t), []byte("parts"), pool.Options{}).Collect()
	require.NoError(t, err)
	require.Equal(t, "one two three", string(answers[c.ID()]))
	_, book, err := b.Ask(patient(t), []byte("nothing"), pool.Options{}).Collect()
	require.NoError(t, err)
	require.Equal(t, 3, book.Count("answered"))
	_, book, err = b.Ask(patient(t), []byte("panic"), pool.Options{}).Collect()
	require.NoError(t, err)
	require.Equal(t, "a failed, b failed, c failed", states(book))
	require.Contains(t, book.Entries[0].Why, "oh no")
	_, book, err = b.Ask(patient(t), []byte("x"), pool.Options{Any: 2}).Collect()
	require.NoError(t, err)
	require.Equal(t, 2, book.Count("answered"))
	_, err = b.Ask(patient(t), nil, pool.Options{Host: "there"}).Ledger()
	require.ErrorIs(t, err, pool.ErrNoHost)
	for one, err := range a.Ask(patient(t), []byte("fail"), pool.Options{}).Answers() {
		require.ErrorIs(t, err, pool.ErrFailed)
		require.True(t, one.End)
	}
}

// TestJoinAndLeave: whoever leaves is told of, the master as well, and what others ask meanwhile goes on.
func TestJoinAndLeave(t *testing.T) {
	dir := runDir(t)
	hold := make(chan struct{})
	slow := func(name string) pool.Config {
		c := config(dir, name)
		c.Handler = func(ctx context.Context, _ *pool.Query) ([]byte, error) {
			select {
			case <-hold:
				return []byte("done"), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return c
	}
	first, err := pool.Join(patient(t), slow("first")) // it is master
	require.NoError(t, err)
	b, c := join(t, slow("b")), join(t, slow("c"))
	await(t, c, 3)
	q := c.Ask(patient(t), nil, pool.Options{})
	require.Eventually(t, func() bool {
		s, err := b.Status(patient(t))
		require.NoError(t, err)
		return s.Running == 1
	}, 30*time.Second, time.Millisecond)
	require.NoError(t, first.Close(patient(t)))
	join(t, slow("late"))
	await(t, c, 3)
	close(hold)
	book, err := q.Ledger()
	require.NoError(t, err)
	require.True(t, book.Complete)
	require.Equal(t, "b answered, c answered, first left, late late", states(book), "%+v", book.Entries)
	s, err := c.Status(patient(t))
	require.NoError(t, err)
	require.EqualValues(t, 2, s.Term)
}

func TestLabelsAndDeadline(t *testing.T) {
	dir := runDir(t)
	cfg := config(dir, "a")
	cfg.Labels = map[string]string{"disk": "ssd"}
	a := join(t, cfg)
	cfg = config(dir, "b")
	cfg.Handler = func(ctx context.Context, _ *pool.Query) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	join(t, cfg)
	await(t, a, 2)
	_, book, err := a.Ask(patient(t), nil, pool.Options{Labels: cfg.Labels, Deadline: 50 * time.Millisecond}).Collect()
	require.ErrorIs(t, err, pool.ErrEarly)
	require.Equal(t, "a answered, b waiting", states(book))
	_, book, err = a.Ask(patient(t), []byte("x"), pool.Options{Labels: map[string]string{"disk": "ssd"}}).Collect()
	require.NoError(t, err)
	require.Equal(t, "a answered", states(book))
}

func TestGuests(t *testing.T) {
	dir := runDir(t)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := pool.Dial(short, config(dir, "guest"))
	require.ErrorIs(t, err, pool.ErrNobody)
	a := join(t, config(dir, "a"))
	join(t, config(dir, "b"))
	g, err := pool.Dial(patient(t), config(dir, "guest"))
	require.NoError(t, err)
	_, book, err := g.Ask(patient(t), []byte("hi"), pool.Options{}).Collect()
	require.NoError(t, err)
	require.Equal(t, "a answered, b answered", states(book), "a guest is not asked")
	all, err := g.Survey(patient(t))
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.NoError(t, g.Close(patient(t)))
	_, err = g.Ask(patient(t), nil, pool.Options{}).Ledger()
	require.ErrorIs(t, err, pool.ErrClosed)
	await(t, a, 2)
}

// TestTwoPoolsOnOneHost have nothing to do with each other.
func TestTwoPoolsOnOneHost(t *testing.T) {
	dir := runDir(t)
	a := join(t, config(dir, "a"))
	other := config(dir, "b")
	other.Pool = "q"
	b := join(t, other)
	for m, want := range map[*pool.Member]string{a: "a answered", b: "b answered"} {
		_, book, err := m.Ask(patient(t), []byte("x"), pool.Options{}).Collect()
		require.NoError(t, err)
		require.Equal(t, want, states(book))
	}
}

func TestRunDirectoriesThatCannotBeUsed(t *testing.T) {
	dir := runDir(t)
	open := filepath.Join(dir, "open")
	require.NoError(t, os.Mkdir(open, 0o755))
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for path, want := range map[string]string{open: "chmod 700 " + open, file: "not a directory", filepath.Join(dir, strings.Repeat("x", 90)): "at most 107"} {
		_, err := pool.Join(patient(t), config(path, "a"))
		require.ErrorContains(t, err, want)
		require.True(t, errors.Is(err, pool.ErrRunDir) || errors.Is(err, pool.ErrTooLong), err)
	}
	for change, want := range map[string]func(*pool.Config){
		"Pool is":                     func(c *pool.Config) { c.Pool = "../x" },
		"Silence":                     func(c *pool.Config) { c.Silence = time.Millisecond },
		"nothing is encrypted":        func(c *pool.Config) { c.Listen = "0.0.0.0:5790" },
		"cannot connect tcp://nobody": func(c *pool.Config) { c.Peers = []string{"nobody"} },
	} {
		c := config(dir, "a")
		want(&c)
		_, err := pool.Join(patient(t), c)
		require.ErrorContains(t, err, change)
	}
}

// TestAfterAPowerLoss: files that nobody holds, that are empty or that are cut off are in nobody's way, and terms go on counting.
func TestAfterAPowerLoss(t *testing.T) {
	dir := runDir(t)
	home := filepath.Join(dir, "p")
	require.NoError(t, os.MkdirAll(home, 0o700))
	for name, text := range map[string]string{
		"t-00000000000000000007": "", "t-00000000000000000006": `{"id":"00`, "m-00000000000000aa": "", "m-00000000000000bb": `{"id":"00000000000000bb"}`, "00000000000000bb.s": "",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(home, name), []byte(text), 0o600))
	}
	a := join(t, config(dir, "a"))
	s, err := a.Status(patient(t))
	require.NoError(t, err)
	require.EqualValues(t, 8, s.Term)
	await(t, a, 1)
	left, err := filepath.Glob(filepath.Join(home, "*00bb*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestTwoHosts: two run directories, joined over tcp; answers cross, and so does the membership.
func TestTwoHosts(t *testing.T) {
	for _, mode := range []string{"plain", "large"} {
		t.Run(mode, func(t *testing.T) {
			x, y := runDir(t), runDir(t)
			port := freePort(t)
			one := config(x, "one")
			one.HostName, one.Listen = "x", port
			two := config(y, "two")
			two.HostName, two.Peers = "y", []string{port}
			if mode == "large" {
				big := bytes.Repeat([]byte("x"), 8<<20)
				two.Handler = func(context.Context, *pool.Query) ([]byte, error) { return big, nil }
			}
			a, b := join(t, one), join(t, two)
			await(t, a, 2)
			await(t, b, 2)
			answers, book, err := a.Ask(patient(t), []byte("hello"), pool.Options{}).Collect()
			require.NoError(t, err)
			require.Equal(t, "one answered, two answered", sorted(book))
			if mode == "large" {
				require.Len(t, answers[b.ID()], 8<<20)
			}
			_, book, err = b.Ask(patient(t), []byte("hello"), pool.Options{Host: "x"}).Collect()
			require.NoError(t, err)
			require.Equal(t, "one answered", states(book))
		})
	}
}

func ExampleMember_Ask() {
	dir, _ := os.MkdirTemp("/tmp", "pool") // errors are left out here for brevity; look at them
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	m, _ := pool.Join(ctx, pool.Config{Pool: "greeters", Name: "anna", RunDir: dir, Handler: func(_ context.Context, q *pool.Query) ([]byte, error) {
		return append([]byte("hello, "), q.Body()...), nil
	}})
	defer func() { _ = m.Close(ctx) }()
	q := m.Ask(ctx, []byte("world"), pool.Options{})
	for answer, err := range q.Answers() {
		if err == nil && !answer.End {
			fmt.Printf("%s: %s\n", answer.Member, answer.Body)
		}
	}
	book, _ := q.Ledger()
	fmt.Println("complete:", book.Complete)
	// Output:
	// anna: hello, world
	// complete: true
}
