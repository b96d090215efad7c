package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPrimes(t *testing.T) {
	for n := range uint64(5000) {
		is, err := isPrime(context.Background(), n)
		require.NoError(t, err)
		require.Equal(t, new(big.Int).SetUint64(n).ProbablyPrime(20), is, n)
	}
	is, err := isPrime(context.Background(), 32416190071)
	require.NoError(t, err)
	require.True(t, is)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = isPrime(gone, 1<<62-57) // a prime, near the end of what is possible
	require.ErrorIs(t, err, context.Canceled)
}

// lines are what a program says, for tests that wait for something.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newLines() *lines { return &lines{more: make(chan struct{}, 1)} }

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) await(t *testing.T, pattern string) []string {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(l.String()); m != nil {
			return m
		}
		select {
		case <-l.more:
		case <-limit:
			require.FailNow(t, "waited in vain", "for %s in %s", pattern, l)
		}
	}
}

// start runs primed alone, and returns its URL.
func start(t *testing.T, args ...string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	talk, ended := newLines(), make(chan error, 1)
	go func() { ended <- run(ctx, append([]string{"--listen", "127.0.0.1:0"}, args...), io.Discard, talk) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		require.NoError(t, <-ended)
	})
	return talk.await(t, `(http://127\.0\.0\.1:\d+)/is_prime`)[1]
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	got, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	return got.StatusCode, string(b)
}

func TestPrimedAlone(t *testing.T) {
	url := start(t)
	for n, want := range map[string]string{"32416190071": "true", "97": "true", "98": "false", "0": "false"} {
		status, body := get(t, url+"/is_prime?possible_prime="+n)
		require.Equal(t, 200, status)
		require.JSONEq(t, fmt.Sprintf(`{"possible_prime":%s,"is_prime":%s}`, n, want), body)
	}
	for _, bad := range []string{"", "?possible_prime=", "?possible_prime=-1", "?possible_prime=x", "?possible_prime=99999999999999999999"} {
		status, body := get(t, url+"/is_prime"+bad)
		require.Equal(t, 400, status)
		require.Contains(t, body, `"stage":"parse"`)
	}
	status, page := get(t, url+"/")
	require.Equal(t, 200, status)
	require.Contains(t, page, "<title>primed</title>")
	status, text := get(t, url+"/stages")
	require.Equal(t, 200, status)
	var rows []row
	require.NoError(t, json.Unmarshal([]byte(text), &rows))
	require.Len(t, rows, 3)
	require.EqualValues(t, 4, rows[1].Calls)
	require.EqualValues(t, 9, rows[0].Calls, "bad input goes no further than the first stage")
}

func TestSimulate(t *testing.T) {
	out := &bytes.Buffer{}
	require.NoError(t, run(context.Background(), []string{"--simulate", "500", "--workers", "2"}, out, io.Discard))
	want := 0
	for n := range 501 {
		if n%64 == 0 && n > 0 || n%64 != 0 && big.NewInt(int64(n)).ProbablyPrime(10) {
			want++
		}
	}
	require.Contains(t, out.String(), fmt.Sprintf("500 numbers, %d primes, 0 failed, 2 workers per stage", want))
	for want, args := range map[string]string{
		"--workers is 0": "--workers 0", "--simulate is -1": "--simulate -1", "is no flag": "once", "--stages without": "--stages parse", "there are parse": "--join tcp://127.0.0.1:1 --stages sum",
	} {
		require.ErrorContains(t, run(context.Background(), strings.Fields(args), io.Discard, io.Discard), want)
	}
}

// The page in a real browser: it asks, and shows the stages.
func TestThePage(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium here: the page was not looked at")
	}
	url := start(t)
	profile := t.TempDir()
	shot := filepath.Join(profile, "page.png")
	if keep := os.Getenv("PRIMED_SHOT"); keep != "" {
		shot = keep
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir=" + profile, "--window-size=800,700", "--virtual-time-budget=4000", "--screenshot=" + shot, url + "/",
	}
	text, err := exec.CommandContext(ctx, browser, args...).CombinedOutput()
	require.NoError(t, err, "%s", text)
	b, err := os.ReadFile(shot)
	require.NoError(t, err)
	require.Greater(t, len(b), 5000, "a picture with something on it")
	args[len(args)-2] = "--dump-dom"
	dom, err := exec.CommandContext(ctx, browser, args...).Output()
	require.NoError(t, err)
	require.Contains(t, string(dom), "<td>compute</td>", "its script has asked for the stages")
}
