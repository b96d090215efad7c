package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/patterns/butterfly"
)

type httpFlags struct {
	target
	cfg                butterfly.Config
	listen, netstrings []string
	routes, streams    []string
	affinities         []string
	sessions           []string
	netstringTarget    string
	cert, certKey      string
	access             choice
	maxBody, maxStream size
	maxHeader          size
	insecure           bool
	profile            string
}

func (a *app) httpCommand() *cobra.Command {
	f := &httpFlags{access: oneOf("combined", "json", "off"), maxBody: 8 << 20, maxStream: 1 << 30, maxHeader: 64 << 10}
	cmd := &cobra.Command{
		Use:   "http",
		Short: "Serve HTTP with stages of workers",
		Long: `Serve HTTP requests by stages of workers. A route names a pattern (method, path, wildcards) and the stages that its requests go through; a stage is a service of the broker. A worker
answers the client from any stage, or passes the request on (docs/butterfly.md). The access log goes to standard output.

SIGTERM and Ctrl-C: /readyz says 503, no new connections are taken, requests have --drain to end, then the threads that run them are interrupted.`,
		Example: `  troupe http --route 'GET /is_prime = parse > compute > format'
  troupe http --listen 127.0.0.1:8080 --route '/ = site' --session site=cookie:sid --route 'POST /film = film' --stream film`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serveHTTP(cmd, f) },
	}
	f.add(cmd.Flags())
	cmd.AddCommand(a.httpPumpCommand())
	return cmd
}

func (f *httpFlags) add(flags *pflag.FlagSet) {
	f.target.add(flags, 30*time.Second, "a request (less than nothing: for ever)")
	flags.StringSliceVar(&f.listen, "listen", []string{"127.0.0.1:8002"}, "address for HTTP; may be repeated; port 0: a free one")
	f.addStages(flags)
	flags.StringSliceVar(&f.netstrings, "netstring", nil, "address for netstrings, each the body of a request to --netstring-path; may be repeated")
	flags.StringVar(&f.netstringTarget, "netstring-path", "/", "path of requests that come as netstrings")
	flags.StringVar(&f.cert, "tls-cert", "", "certificate (PEM file): serve HTTPS")
	flags.StringVar(&f.certKey, "tls-key", "", "its key (PEM file)")
	flags.BoolVar(&f.insecure, "insecure", false, "allow a --listen without TLS, or a --netstring, that other machines can reach")
	flags.Var(&f.maxStream, "max-stream", "largest body of a request that is streamed")
	flags.Var(&f.maxHeader, "max-header", "largest line and headers of a request")
	flags.DurationVar(&f.cfg.ReadTimeout, "read-timeout", 10*time.Second, "how long a client may take for its headers, and between two pieces of its body")
	flags.DurationVar(&f.cfg.IdleTimeout, "idle-timeout", 2*time.Minute, "how long a connection may be idle")
	flags.IntVar(&f.cfg.MaxRequests, "max-requests", 4096, "requests that may be under way")
	flags.DurationVar(&f.cfg.Drain, "drain", 10*time.Second, "how long SIGTERM waits for requests")
	flags.StringVar(&f.profile, "cpuprofile", "", "write a processor profile to this file")
	_ = flags.MarkHidden("cpuprofile")
	flags.Var(&f.access, "access-log", "form of the access log on standard output: combined, json or off")
}

// addStages adds the flags that say through which stages requests go.
func (f *httpFlags) addStages(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.routes, "route", nil, "PATTERN = STAGE > STAGE ..., a pattern as in 'GET /files/{name}'; may be repeated")
	flags.StringSliceVar(&f.streams, "stream", nil, "stage that takes and gives bodies of any size, in parts; may be repeated")
	flags.StringSliceVar(&f.affinities, "affinity", nil, "STAGE=cookie:NAME, header:NAME or query:NAME: requests with one key go to one worker; may be repeated")
	flags.StringSliceVar(&f.sessions, "session", nil, "the same, and they are calls of one hit, on one thread; may be repeated")
	flags.Var(&f.maxBody, "max-body", "largest body of a request, and of what a stage passes on, that is not streamed")
	flags.IntVar(&f.cfg.MaxHops, "max-hops", 32, "how many stages may have a request, on all branches together")
}

// config turns flags into the front's configuration.
func (f *httpFlags) config(a *app) (butterfly.Config, error) {
	c := f.cfg
	var err error
	if c.Client, err = f.target.config(a.logger); err != nil {
		return c, err
	}
	c.Timeout, c.Logger, c.MaxBody, c.MaxStream, c.MaxHeader = f.timeout, a.logger, int64(f.maxBody), int64(f.maxStream), int(f.maxHeader)
	if c.Timeout < 0 {
		c.Timeout = -1
	}
	if f.access.String() != "off" {
		c.AccessLog, c.AccessFormat = a.out, f.access.String()
	}
	switch {
	case len(f.routes) == 0:
		return c, errors.New("no --route: name at least one, as --route 'GET /is_prime = parse > compute > format'")
	case (f.cert == "") != (f.certKey == ""):
		return c, errors.New("--tls-cert and --tls-key belong together: give both or none")
	case f.timeout == 0 || f.connect <= 0 || f.cfg.Drain <= 0 || f.cfg.ReadTimeout <= 0 || f.cfg.IdleTimeout <= 0:
		return c, errors.New("--timeout, --connect, --drain, --read-timeout and --idle-timeout must be longer than nothing, as in 3s")
	case f.cfg.MaxHops < 1 || f.cfg.MaxRequests < 1 || f.maxBody < 1 || f.maxStream < 1 || f.maxHeader < 1:
		return c, errors.New("--max-hops, --max-requests, --max-body, --max-stream and --max-header start at 1")
	}
	for _, text := range f.routes {
		r, err := routeOf(text)
		if err != nil {
			return c, err
		}
		c.Routes = append(c.Routes, r)
	}
	if c.Stages, err = f.stages(); err != nil {
		return c, err
	}
	return c, c.Validate()
}

// routeOf reads PATTERN = STAGE > STAGE.
func routeOf(text string) (butterfly.Route, error) {
	i := strings.LastIndex(text, "=")
	if i < 0 {
		return butterfly.Route{}, fmt.Errorf("--route %q has no =: write it as 'GET /is_prime = parse > compute > format'", text)
	}
	r := butterfly.Route{Pattern: strings.TrimSpace(text[:i])}
	for s := range strings.SplitSeq(text[i+1:], ">") {
		if s = strings.TrimSpace(s); s == "" {
			return r, fmt.Errorf("--route %q has an empty stage: write it as 'GET /is_prime = parse > compute > format'", text)
		}
		r.Stages = append(r.Stages, s)
	}
	return r, nil
}

// stages reads --stream, --affinity and --session.
func (f *httpFlags) stages() (map[string]butterfly.Stage, error) {
	all := make(map[string]butterfly.Stage)
	for _, name := range f.streams {
		s := all[name]
		s.Stream = true
		all[name] = s
	}
	for i, text := range append(append([]string{}, f.affinities...), f.sessions...) {
		name, by, _ := strings.Cut(text, "=")
		kind, key, _ := strings.Cut(by, ":")
		s := all[name]
		switch {
		case name == "" || key == "":
			kind = ""
		case kind == "cookie":
			s.Affinity.Cookie = key
		case kind == "header":
			s.Affinity.Header = key
		case kind == "query":
			s.Affinity.Query = key
		default:
			kind = ""
		}
		if kind == "" {
			return nil, fmt.Errorf("--affinity or --session %q: write it as STAGE=cookie:NAME, STAGE=header:NAME or STAGE=query:NAME", text)
		}
		s.Affinity.Session = s.Affinity.Session || i >= len(f.affinities)
		all[name] = s
	}
	return all, nil
}

func (a *app) serveHTTP(cmd *cobra.Command, f *httpFlags) (err error) {
	cfg, err := f.config(a)
	if err != nil {
		return usage(err)
	}
	stopProfile, err := profile(f.profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopProfile()) }()
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listeners, plain, err := f.open()
	if err != nil {
		return err
	}
	front, err := butterfly.New(ctx, cfg)
	if err != nil {
		return errors.Join(usage(err), closeAll(append(listeners, plain...)))
	}
	a.announceHTTP(f, cfg, listeners, plain)
	ended := make(chan error, len(plain))
	for _, l := range plain {
		go func() { ended <- front.ServeNetstrings(ctx, l, f.netstringTarget) }()
	}
	failed := front.Serve(ctx, listeners...)
	stop()
	for range plain {
		failed = errors.Join(failed, <-ended)
	}
	return failed
}

// open binds the addresses.
func (f *httpFlags) open() (listeners, plain []net.Listener, err error) {
	var config *tls.Config
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.certKey)
		if err != nil {
			return nil, nil, usage(fmt.Errorf("--tls-cert %s and --tls-key %s: %w", f.cert, f.certKey, err))
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	}
	bind := func(address string, safe bool) (net.Listener, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, usage(fmt.Errorf("--listen %s: %w: write it as 127.0.0.1:8002", address, err))
		}
		if ip := net.ParseIP(host); !safe && !f.insecure && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, usage(fmt.Errorf("--listen %s: other machines can reach it, and nothing is encrypted: give --tls-cert and --tls-key, listen at 127.0.0.1, or insist with --insecure behind a proxy that you trust", address))
		}
		return net.Listen("tcp", address)
	}
	for _, at := range f.listen {
		l, err := bind(at, config != nil)
		if err != nil {
			return nil, nil, errors.Join(err, closeAll(listeners))
		}
		if config != nil {
			l = tls.NewListener(l, config)
		}
		listeners = append(listeners, l)
	}
	for _, at := range f.netstrings {
		l, err := bind(at, false)
		if err != nil {
			return nil, nil, errors.Join(err, closeAll(append(listeners, plain...)))
		}
		plain = append(plain, l)
	}
	return listeners, plain, nil
}

func closeAll(listeners []net.Listener) (err error) {
	for _, l := range listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}

// announceHTTP tells where the server listens, and how to go on.
func (a *app) announceHTTP(f *httpFlags, c butterfly.Config, listeners, plain []net.Listener) {
	scheme := "http"
	if f.cert != "" {
		scheme = "https"
	}
	for _, l := range listeners {
		fmt.Fprintf(a.err, "listening at %s://%s\n", scheme, l.Addr())
	}
	for _, l := range plain {
		fmt.Fprintf(a.err, "netstrings at %s, each a request to %s\n", l.Addr(), f.netstringTarget)
	}
	for _, r := range c.Routes {
		fmt.Fprintf(a.err, "route %s: %s\n", r.Pattern, strings.Join(r.Stages, " > "))
	}
}
