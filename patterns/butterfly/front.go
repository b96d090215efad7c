package butterfly

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// Front is an http.Handler that leads requests through stages. It is safe for use by many goroutines.
type Front struct {
	cfg       Config
	client    *assigner.Client
	mux       *http.ServeMux
	stages    map[string]*stage
	under     atomic.Int64
	cancelled bool // requests are given up
	draining  atomic.Bool
	mu        sync.Mutex
	live      map[*exchange]context.CancelFunc // of requests under way
	log       *accessLog
	closing   sync.Once
	closed    error
}

// New makes a front. It does not wait for brokers or workers, which may be started later. Close ends it.
func New(ctx context.Context, cfg Config) (*Front, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.withDefaults()
	f := &Front{cfg: cfg, mux: http.NewServeMux(), stages: make(map[string]*stage), live: make(map[*exchange]context.CancelFunc), log: newAccessLog(cfg.AccessLog, cfg.AccessFormat)}
	if err := f.lay(); err != nil {
		return nil, err
	}
	c, err := assigner.Dial(ctx, cfg.Client)
	if err != nil {
		return nil, err
	}
	f.client = c
	return f, nil
}

// lay builds the routes. Patterns that clash are an error.
func (f *Front) lay() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("butterfly: Config.Routes: %v", r)
		}
	}()
	for name, s := range f.cfg.Stages {
		f.stages[name] = newStage(name, s)
	}
	for _, r := range f.cfg.Routes {
		for _, s := range r.Stages {
			if f.stages[s] == nil {
				f.stages[s] = newStage(s, Stage{})
			}
		}
		f.mux.Handle(r.Pattern, &route{front: f, Route: r, wildcards: wildcards(r.Pattern)})
	}
	return nil
}

// wildcards are the names in a pattern, which only the pattern knows.
func wildcards(pattern string) []string {
	var names []string
	for rest := pattern; ; {
		_, after, found := strings.Cut(rest, "{")
		name, behind, closed := strings.Cut(after, "}")
		if !found || !closed {
			return names
		}
		if name = strings.TrimSuffix(name, "..."); name != "" && name != "$" {
			names = append(names, name)
		}
		rest = behind
	}
}

// ServeHTTP is http.Handler's.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	x := &exchange{front: f, in: r, began: began, trace: traceOf(r.Header.Get("Traceparent"))}
	x.out = &writer{ResponseWriter: w, exchange: x}
	defer func() { f.log.note(x, time.Since(began)) }()
	switch {
	case r.URL.Path == f.cfg.Livez:
		plain(x.out, http.StatusOK, "alive")
	case r.URL.Path == f.cfg.Readyz:
		f.readyz(x.out)
	case f.under.Add(1) > int64(f.cfg.MaxRequests):
		f.under.Add(-1)
		x.fail(&Problem{Status: http.StatusServiceUnavailable, Retry: 1, Detail: fmt.Sprintf("%d requests are under way, as many as there may be", f.cfg.MaxRequests)})
	default:
		defer f.under.Add(-1)
		f.dispatch(x)
	}
}

// dispatch has ServeMux find the route. What it says itself, where there is none, is held back, and becomes a problem.
func (f *Front) dispatch(x *exchange) {
	if x.in.RequestURI == "*" || x.in.URL.Path == "" {
		x.fail(&Problem{Status: http.StatusBadRequest, Detail: "the request's target is no path"})
		return
	}
	x.out.held = make(http.Header)
	f.mux.ServeHTTP(x.out, x.in)
	held := x.out.held
	if held == nil {
		return // there was a route
	}
	status := x.out.status
	x.out.held, x.out.status, x.out.bytes = nil, 0, 0
	switch {
	case status == http.StatusMethodNotAllowed:
		x.allow = held.Get("Allow")
		x.fail(&Problem{Status: status, Detail: fmt.Sprintf("%s is not possible here: %s", x.in.Method, x.allow)})
	case status >= 300 && status < 400: // to a path without .. or with its slash
		http.Redirect(x.out, x.in, held.Get("Location"), status)
	default:
		x.fail(&Problem{Status: http.StatusNotFound, Detail: "no route leads there"})
	}
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// readyz says whether requests are taken: the broker is there, and the front is not about to stop.
func (f *Front) readyz(w http.ResponseWriter) {
	switch {
	case f.draining.Load():
		plain(w, http.StatusServiceUnavailable, "about to stop")
	case f.client.Registered() == 0:
		plain(w, http.StatusServiceUnavailable, "no broker is reached")
	default:
		plain(w, http.StatusOK, "ready")
	}
}

// Close ends the front: what is under way is cancelled, sessions are closed.
func (f *Front) Close(ctx context.Context) error {
	f.closing.Do(func() {
		f.draining.Store(true)
		f.cancel()
		var errs []error
		for _, s := range f.stages {
			errs = append(errs, s.sessions.close(ctx))
		}
		f.closed = errors.Join(append(errs, f.client.Close(ctx))...)
	})
	return f.closed
}

// enter counts a request among those under way, so that the end of the front ends it.
func (f *Front) enter(x *exchange, cancel context.CancelFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cancelled {
		cancel()
	}
	f.live[x] = cancel
}

func (f *Front) leave(x *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.live, x)
}

// cancel ends all requests, and those that come yet.
func (f *Front) cancel() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancelled = true
	for _, cancel := range f.live {
		cancel()
	}
}
