package butterfly_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/butterfly"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait. It is a safety net: no test measures time by it.
const patience = 60 * time.Second

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func limited(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		require.FailNow(t, "waited in vain", "for %s", what)
		panic("not reached")
	}
}

type (
	ctx     = context.Context
	request = butterfly.Request
	answer  = butterfly.Answer
	works   = map[string]butterfly.Handler
)

// stage is a broker, a worker whose services are stages, and a front on a port of its own.
type stage struct {
	t      *testing.T
	broker *assigner.Broker
	worker *assigner.Worker
	front  *butterfly.Front
	addr   string
	url    string
	client *http.Client
	stop   context.CancelFunc
	ended  chan error
	log    *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newStage(t *testing.T, w works, cfg butterfly.Config, change ...func(*assigner.BrokerConfig, *assigner.WorkerConfig)) *stage {
	t.Helper()
	free := []string{"tcp://127.0.0.1:0"}
	bc := assigner.BrokerConfig{Clients: free, Workers: free, Logger: quiet(), Grace: -1}
	wc := assigner.WorkerConfig{Slots: 8, Logger: quiet(), Services: map[string]assigner.Service{}}
	for name, h := range w {
		wc.Services[name] = assigner.Service{Threads: assigner.Goroutines, Handler: butterfly.Work(h)}
	}
	for _, f := range change {
		f(&bc, &wc)
	}
	s := &stage{t: t, ended: make(chan error, 1), log: &lockedBuffer{}}
	var err error
	s.broker, err = assigner.NewBroker(bc)
	require.NoError(t, err)
	require.NoError(t, s.broker.Start(limited(t)))
	t.Cleanup(func() { require.NoError(t, s.broker.Close(context.Background())) })
	wc.Broker = s.broker.WorkerEndpoints()[0]
	s.worker, err = assigner.NewWorker(wc)
	require.NoError(t, err)
	require.NoError(t, s.worker.Start(limited(t)))
	t.Cleanup(func() { _ = s.worker.Close(limited(t)) })
	receive(t, s.worker.Welcomed(), "the worker's welcome")

	cfg.Client = assigner.ClientConfig{Broker: s.broker.ClientEndpoints()[0], Logger: quiet()}
	cfg.Logger, cfg.AccessLog = quiet(), s.log
	s.front, err = butterfly.New(limited(t), cfg)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr, s.url = l.Addr().String(), "http://"+l.Addr().String()
	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.ended <- s.front.Serve(run, l) }()
	transport := &http.Transport{DisableCompression: true}
	s.client = &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		require.NoError(t, receive(t, s.ended, "the end of the server"))
	})
	return s
}

type response struct {
	*http.Response
	body string
}

func (s *stage) do(method, path, body string, header ...string) response {
	s.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(limited(s.t), method, s.url+path, in)
	require.NoError(s.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	got, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	require.NoError(s.t, err)
	return response{got, string(b)}
}

// problem is a response that says what went wrong.
func (s *stage) problem(r response, status int, contains ...string) butterfly.Problem {
	s.t.Helper()
	require.Equal(s.t, status, r.StatusCode, "%s", r.body)
	require.Equal(s.t, "application/problem+json", r.Header.Get("Content-Type"))
	var p butterfly.Problem
	require.NoError(s.t, json.Unmarshal([]byte(r.body), &p))
	require.Equal(s.t, status, p.Status)
	require.Len(s.t, p.Trace, 32)
	for _, words := range contains {
		require.Contains(s.t, r.body, words)
	}
	return p
}

func routes(all ...string) (rs []butterfly.Route) {
	for _, r := range all {
		pattern, stages, _ := strings.Cut(r, " > ")
		rs = append(rs, butterfly.Route{Pattern: pattern, Stages: strings.Split(stages, " > ")})
	}
	return rs
}

func TestThroughThreeStages(t *testing.T) {
	s := newStage(t, works{
		"parse": func(_ ctx, r *request) (*answer, error) {
			if r.Get("n") == "" {
				return nil, &butterfly.Problem{Status: 400, Detail: "n is missing"}
			}
			return butterfly.Next([]byte(r.Get("n"))).With(map[string]string{"unit": r.Values["unit"]}), nil
		},
		"compute": func(_ ctx, r *request) (*answer, error) {
			if string(r.Body()) == "0" {
				return butterfly.Reply(200, "text/plain", []byte("nothing")), nil // no need for the rest
			}
			var v json.RawMessage
			if err := r.Decode(0, &v); err != nil {
				return nil, err
			}
			return butterfly.Next(append(r.Body(), r.Body()...)).With(v), nil
		},
		"format": func(_ ctx, r *request) (*answer, error) {
			var v struct{ Unit string }
			if err := r.Decode(0, &v); err != nil {
				return nil, err
			}
			return butterfly.Reply(200, "text/plain", fmt.Appendf(nil, "%s %s %s %d %v", r.Method, r.Body(), v.Unit, r.Hop, r.From)).Header("X-Made", "here"), nil
		},
	}, butterfly.Config{Routes: routes("GET /double/{unit} > parse > compute > format")})
	got := s.do("GET", "/double/cm?n=21", "")
	require.Equal(t, 200, got.StatusCode)
	require.Equal(t, "GET 2121 cm 2 [compute]", got.body)
	require.Equal(t, "here", got.Header.Get("X-Made"))
	require.Equal(t, "nothing", s.do("GET", "/double/cm?n=0", "").body)
	s.problem(s.do("GET", "/double/cm", "", "Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), 400, "n is missing", "4bf92f3577b34da6a3ce929d0e0e4736")
	s.problem(s.do("GET", "/nowhere", ""), 404)
	r := s.do("POST", "/double/cm", "x")
	s.problem(r, 405, "GET")
	require.Contains(t, r.Header.Get("Allow"), "GET")
	head := s.do("HEAD", "/double/cm?n=21", "")
	require.Equal(t, 200, head.StatusCode)
	require.Empty(t, head.body)
	st := s.front.Stats()
	require.EqualValues(t, 4, st["parse"].Calls)
	require.Positive(t, st["compute"].Mean)
	require.Contains(t, s.log.String(), `"GET /double/cm?n=21 HTTP/1.1" 200 23 "-" "Go-http-client/1.1"`)
	require.Equal(t, "alive\n", s.do("GET", "/livez", "").body)
	require.Equal(t, "ready\n", s.do("GET", "/readyz", "").body)
}

func TestBranchesAndCycles(t *testing.T) {
	s := newStage(t, works{
		"split": func(_ ctx, r *request) (*answer, error) {
			return butterfly.To(r.Body(), "upper", "count").Join("merge"), nil
		},
		"upper": func(_ ctx, r *request) (*answer, error) { return butterfly.Next(bytes.ToUpper(r.Body())), nil },
		"count": func(_ ctx, r *request) (*answer, error) {
			if len(r.Body()) == 0 {
				return butterfly.Reply(422, "text/plain", []byte("empty")), nil
			}
			return butterfly.Next(fmt.Appendf(nil, "%d", len(r.Body()))), nil
		},
		"merge": func(_ ctx, r *request) (*answer, error) {
			return butterfly.Reply(200, "text/plain", fmt.Appendf(nil, "%s %s %v", r.Bodies[0], r.Bodies[1], r.From)), nil
		},
		"back": func(_ ctx, r *request) (*answer, error) {
			if len(r.Body()) >= 5 {
				return butterfly.Reply(200, "", r.Body()), nil
			}
			return butterfly.To(append(r.Body(), '.'), "back"), nil
		},
		"forever": func(_ ctx, r *request) (*answer, error) { return butterfly.To(nil, "forever"), nil },
		"lost":    func(_ ctx, r *request) (*answer, error) { return butterfly.To(nil, "nowhere"), nil },
		"last":    func(_ ctx, r *request) (*answer, error) { return butterfly.Next(nil), nil },
	}, butterfly.Config{
		Routes: routes("POST /both > split", "/back > back", "/forever > forever", "/lost > lost", "/last > last"),
		Stages: map[string]butterfly.Stage{"upper": {}, "count": {}, "merge": {}},
	})
	require.Equal(t, "HELLO 5 [upper count]", s.do("POST", "/both", "hello").body)
	require.Equal(t, 422, s.do("POST", "/both", "").StatusCode)
	require.Equal(t, ".....", s.do("GET", "/back", "").body)
	s.problem(s.do("GET", "/forever", ""), 508, "cycle", "32 hops")
	s.problem(s.do("GET", "/lost", ""), 502, "unknown-stage")
	s.problem(s.do("GET", "/last", ""), 502, "no-next-stage")
}

func TestFailuresHaveTheirStatus(t *testing.T) {
	gate := make(chan struct{})
	began, told := make(chan string, 9), make(chan string, 9)
	s := newStage(t, works{
		"fail":  func(ctx, *request) (*answer, error) { return nil, errors.New("no ink") },
		"panic": func(ctx, *request) (*answer, error) { panic("on purpose") },
		"none":  func(ctx, *request) (*answer, error) { return nil, nil },
		"odd":   func(ctx, *request) (*answer, error) { return butterfly.Reply(99, "", nil), nil },
		"split": func(ctx, *request) (*answer, error) {
			return butterfly.Reply(200, "", nil).Header("X-A", "b\r\nSet-Cookie: stolen=1"), nil
		},
		"slow": func(c ctx, r *request) (*answer, error) {
			began <- r.Path
			select {
			case <-c.Done():
				told <- r.Path
				return nil, c.Err()
			case <-gate:
				return butterfly.Reply(200, "", nil), nil
			}
		},
	}, butterfly.Config{
		Routes:  append(routes("/fail > fail", "/panic > panic", "/none > none", "/odd > odd", "/split > split", "/unserved > unserved", "/slow > slow"), butterfly.Route{Pattern: "/timeout", Stages: []string{"slow"}, Timeout: 100 * time.Millisecond}),
		MaxBody: 1000,
	}, func(b *assigner.BrokerConfig, w *assigner.WorkerConfig) { b.MaxQueue, w.Slots = 1, 1 })
	s.problem(s.do("GET", "/fail", ""), 502, "service-error", "no ink", `"stage":"fail"`)
	s.problem(s.do("GET", "/panic", ""), 502, "panicked")
	s.problem(s.do("GET", "/none", ""), 502, "neither an answer nor an error")
	s.problem(s.do("GET", "/odd", ""), 502, "invalid-answer", "status 99")
	r := s.do("GET", "/split", "")
	s.problem(r, 502, "invalid-answer")
	require.Empty(t, r.Cookies())
	r = s.do("GET", "/unserved", "")
	s.problem(r, 503, "unknown-service")
	require.NotEmpty(t, r.Header.Get("Retry-After"))
	s.problem(s.do("POST", "/fail", strings.Repeat("x", 1001)), 413, "1000 bytes")
	s.problem(s.do("GET", "/timeout", ""), 504, `"stage":"slow"`)
	require.Equal(t, "/timeout", receive(t, began, "the call"))
	require.Equal(t, "/timeout", receive(t, told, "the interrupt at the very thread"))

	// the client goes away
	ctx, cancel := context.WithCancel(limited(t))
	in, err := http.NewRequestWithContext(ctx, "GET", s.url+"/slow", nil)
	require.NoError(t, err)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if got, err := s.client.Do(in); err == nil {
			got.Body.Close()
		}
	}()
	receive(t, began, "the call")
	cancel()
	receive(t, gone, "the client's end")
	require.Equal(t, "/slow", receive(t, told, "the interrupt"))

	// the queue is full: one runs, one waits
	answers := make(chan int, 3)
	ask := func() { answers <- s.do("GET", "/slow", "").StatusCode }
	go ask()
	receive(t, began, "the first one")
	go ask()
	go ask()
	require.Equal(t, 503, receive(t, answers, "the one that finds no room"))
	close(gate)
	require.Equal(t, []int{200, 200}, []int{receive(t, answers, "one"), receive(t, answers, "another")})
}

// A web session is a hit: its state stays where it is, whoever else is served meanwhile.
func TestSessions(t *testing.T) {
	type counter struct{ n int }
	opened := make(chan *counter, 9)
	s := newStage(t, nil, butterfly.Config{
		Routes: routes("/count > count"),
		Stages: map[string]butterfly.Stage{"count": {Affinity: butterfly.Affinity{Cookie: "sid", Header: "X-Session", Session: true, Most: 2}}},
	}, func(_ *assigner.BrokerConfig, w *assigner.WorkerConfig) {
		w.Services["count"] = assigner.Service{Open: func(context.Context, *assigner.Opening) (assigner.Session, error) {
			c := &counter{}
			opened <- c
			return &session{work: butterfly.Work(func(ctx, *request) (*answer, error) {
				c.n++
				return butterfly.Reply(200, "text/plain", fmt.Appendf(nil, "%d", c.n)), nil
			})}, nil
		}}
	})
	for i := range 3 {
		require.Equal(t, fmt.Sprint(i+1), s.do("GET", "/count", "", "X-Session", "a").body)
	}
	first := s.do("GET", "/count", "")
	require.Equal(t, "1", first.body)
	require.Len(t, first.Cookies(), 1)
	c := first.Cookies()[0]
	require.True(t, c.HttpOnly)
	require.Equal(t, "2", s.do("GET", "/count", "", "Cookie", "sid="+c.Value).body)
	require.Equal(t, "4", s.do("GET", "/count", "", "X-Session", "a").body)
	require.Equal(t, "1", s.do("GET", "/count", "", "X-Session", "b").body) // the cookie's was idle longest
	require.Equal(t, "1", s.do("GET", "/count", "", "Cookie", "sid="+c.Value).body)
	s.problem(s.do("GET", "/count", "", "X-Session", strings.Repeat("x", 200)), 400, "at most 128")
}

type session struct{ work assigner.Handler }

func (s *session) Call(c context.Context, call *assigner.Call) ([]byte, error) {
	return s.work(c, call)
}
func (s *session) Close() error { return nil }

func TestLargeBodiesAreStreamed(t *testing.T) {
	s := newStage(t, works{
		"echo": func(_ ctx, r *request) (*answer, error) {
			in := r.Input()
			if in == nil || len(r.Bodies) > 0 {
				return butterfly.Reply(200, "", r.Body()), nil
			}
			return butterfly.Stream(200, "application/octet-stream", -1, func(w io.Writer) error {
				_, err := io.Copy(w, in)
				return err
			}), nil
		},
		"breaks": func(_ ctx, r *request) (*answer, error) {
			return butterfly.Stream(200, "", 1<<20, func(w io.Writer) error {
				_, _ = w.Write(make([]byte, 300<<10))
				return errors.New("out of ink")
			}), nil
		},
	}, butterfly.Config{
		Routes: routes("POST /echo > echo", "GET /breaks > breaks"), MaxStream: 20 << 20,
		Stages: map[string]butterfly.Stage{"echo": {Stream: true}, "breaks": {Stream: true}},
	})
	body := strings.Repeat("0123456789abcdef", 1<<20)
	whole := s.do("POST", "/echo", body)
	require.Equal(t, 200, whole.StatusCode, "%.500s", whole.body)
	require.True(t, body == whole.body, "%d bytes came back: %.100s", len(whole.body), whole.body)
	require.Equal(t, "small", s.do("POST", "/echo", "small").body)
	s.problem(s.do("POST", "/echo", strings.Repeat("x", 20<<20+1)), 413)

	r, err := http.NewRequestWithContext(limited(t), "POST", s.url+"/echo", io.MultiReader(strings.NewReader(body), strings.NewReader("!"))) // chunked
	require.NoError(t, err)
	got, err := s.client.Do(r)
	require.NoError(t, err)
	defer got.Body.Close()
	all, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	require.True(t, body+"!" == string(all), "%d bytes came back", len(all))

	r, err = http.NewRequestWithContext(limited(t), "GET", s.url+"/breaks", nil)
	require.NoError(t, err)
	broken, err := s.client.Do(r)
	if err == nil {
		defer broken.Body.Close()
		_, err = io.ReadAll(broken.Body)
	}
	require.Error(t, err, "half a body is not taken for a whole one")
}

func TestDraining(t *testing.T) {
	began, told := make(chan struct{}, 2), make(chan struct{}, 2)
	gate := make(chan struct{})
	s := newStage(t, works{"slow": func(c ctx, r *request) (*answer, error) {
		began <- struct{}{}
		if r.Path == "/stubborn" {
			<-c.Done()
			told <- struct{}{}
			return nil, c.Err()
		}
		<-gate
		return butterfly.Reply(200, "", []byte("done")), nil
	}}, butterfly.Config{Routes: routes("/ > slow"), Drain: 300 * time.Millisecond, AccessFormat: "json"})
	answers := make(chan response, 2)
	for _, path := range []string{"/polite", "/stubborn"} {
		go func() { answers <- s.do("GET", path, "") }()
		receive(t, began, "the call")
	}
	s.stop()
	close(gate)
	polite := receive(t, answers, "the one that ends in time")
	require.Equal(t, "done", polite.body)
	receive(t, told, "the interrupt")
	s.problem(receive(t, answers, "the one that was cancelled"), 503, "about to stop")
	require.NoError(t, receive(t, s.ended, "the end"))
	s.ended <- nil
	require.Contains(t, s.log.String(), `"status":503`)
	_, err := net.Dial("tcp", s.addr)
	require.Error(t, err)
}

func TestBadConfigs(t *testing.T) {
	good := routes("/ > a")
	for want, c := range map[string]butterfly.Config{
		"Routes is empty":   {},
		"no Stages":         {Routes: []butterfly.Route{{Pattern: "/"}}},
		"pattern":           {Routes: routes("/{ > a")},
		"conflicts":         {Routes: routes("/a > a", "/a > b")},
		`stage "a b"`:       {Routes: routes("/ > a b")},
		"Timeout":           {Routes: good, Timeout: -2},
		"MaxBody":           {Routes: good, MaxBody: -1},
		"Drain":             {Routes: good, Drain: -1},
		"AccessFormat":      {Routes: good, AccessFormat: "xml"},
		"Target and an Aff": {Routes: good, Stages: map[string]butterfly.Stage{"a": {Target: assigner.Target{Worker: "x"}, Affinity: butterfly.Affinity{Cookie: "c"}}}},
		"exactly one":       {Routes: good, Stages: map[string]butterfly.Stage{"a": {Target: assigner.Target{Worker: "x", Key: "y"}}}},
		"Idle":              {Routes: good, Stages: map[string]butterfly.Stage{"a": {Affinity: butterfly.Affinity{Cookie: "c", Idle: -1}}}},
	} {
		_, err := butterfly.New(limited(t), c)
		require.ErrorContains(t, err, want)
	}
}
