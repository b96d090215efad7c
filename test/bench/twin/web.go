package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/butterfly"
)

// largePrime is the one that keeps a processor busy for some time.
const largePrime = 32416190071

// prime is the sum that both sides do.
func prime(n uint64) bool {
	if n < 2 || n%2 == 0 {
		return n == 2
	}
	top := uint64(math.Sqrt(float64(n))) + 1
	for d := uint64(3); d <= top && d < n; d += 2 {
		if n%d == 0 {
			return false
		}
	}
	return true
}

func number(text string) (uint64, error) { return strconv.ParseUint(text, 10, 63) }

func verdict(n uint64) []byte {
	return fmt.Appendf(nil, "{\"possible_prime\":%d,\"is_prime\":%t}\n", n, prime(n))
}

// stageWork serves the stages of the bench: prime does the sum and answers, hop1 and hop2 pass on.
func stageWork(ctx context.Context, endpoint, slots string) error {
	count, err := strconv.Atoi(slots)
	if err != nil {
		return fmt.Errorf("SLOTS: %w", err)
	}
	hop := butterfly.Work(func(_ context.Context, r *butterfly.Request) (*butterfly.Answer, error) {
		return butterfly.Next(r.Body()), nil
	})
	sum := butterfly.Work(func(_ context.Context, r *butterfly.Request) (*butterfly.Answer, error) {
		n, err := number(r.Get("possible_prime"))
		if err != nil {
			return nil, err
		}
		return butterfly.Reply(http.StatusOK, "application/json", verdict(n)), nil
	})
	services := map[string]assigner.Service{}
	for name, h := range map[string]assigner.Handler{"prime": sum, "hop1": hop, "hop2": hop} {
		services[name] = assigner.Service{Threads: assigner.Goroutines, Handler: h}
	}
	return serve(ctx, assigner.WorkerConfig{Broker: endpoint, Slots: count, Services: services})
}

// plainWeb is the peer: net/http does the sum itself. It prints "listening at URL".
func plainWeb(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := number(r.URL.Query().Get("possible_prime"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(verdict(n))
	})}
	fmt.Printf("listening at http://%s\n", l.Addr())
	go func() { <-ctx.Done(); _ = s.Close() }()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// visits are the requests of a load, and when they count.
type visits struct {
	url         string
	client      *http.Client
	from, until time.Time

	mu     sync.Mutex
	small  []float64 // us, of small numbers
	all    int
	failed error
}

// browse asks for small numbers, and at every 21st for the large one, over so many connections; it tells requests per second and, in us, times of the small ones.
func browse(ctx context.Context, args []string) error {
	conns, err := strconv.Atoi(args[1])
	if err != nil || conns < 1 {
		return fmt.Errorf("CONNECTIONS is %q: a number from 1 on", args[1])
	}
	warm, err := time.ParseDuration(args[2])
	if err != nil {
		return fmt.Errorf("WARM: %w", err)
	}
	run, err := time.ParseDuration(args[3])
	if err != nil {
		return fmt.Errorf("RUN: %w", err)
	}
	v := &visits{url: args[0], client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns}}, from: time.Now().Add(warm)}
	v.until = v.from.Add(run)
	defer v.client.CloseIdleConnections()
	var each sync.WaitGroup
	for c := range conns {
		each.Go(func() { v.browse(ctx, c) })
	}
	each.Wait()
	if v.failed != nil {
		return v.failed
	}
	if len(v.small) == 0 {
		return errors.New("nothing was answered in the measured time")
	}
	slices.Sort(v.small)
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{"rps": float64(v.all) / run.Seconds(), "p50": v.small[len(v.small)/2], "p99": v.small[len(v.small)*99/100]})
}

// browse is one connection's part.
func (v *visits) browse(ctx context.Context, first int) {
	for i := first; ; i++ {
		n := uint64(largePrime)
		if i%21 != 20 {
			n = 3 + uint64(i%500)*2
		}
		begun := time.Now()
		err := visit(ctx, v.client, v.url, n)
		if !v.count(n, begun, time.Now(), err) {
			return
		}
	}
}

// count takes a request in; false: there are to be no more.
func (v *visits) count(n uint64, begun, ended time.Time, err error) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		v.failed = err
	}
	if v.failed != nil || ended.After(v.until) {
		return false
	}
	if ended.After(v.from) {
		v.all++
		if n != largePrime {
			v.small = append(v.small, float64(ended.Sub(begun).Nanoseconds())/1e3)
		}
	}
	return true
}

// visit asks for a number and checks the answer.
func visit(ctx context.Context, client *http.Client, url string, n uint64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s?possible_prime=%d", url, n), nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Number uint64 `json:"possible_prime"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || resp.StatusCode != http.StatusOK || answer.Number != n {
		return fmt.Errorf("%s to %d: %.200q", resp.Status, n, body)
	}
	return nil
}
