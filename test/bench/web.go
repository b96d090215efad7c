package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// HTTP in front of workers, against net/http that does the sum itself.

const (
	programPrimed = "primed"
	programWrk    = "wrk"
	peerHTTP      = "plain net/http"
	hops          = "web_hops"
	webMemory     = "web_memory"
	mixPlain      = "web_mix_plain"
	smallNumber   = "/is_prime?possible_prime=97"
	// webConnections of the mixed load.
	webConnections = 64
)

func mixName(computers int) string { return fmt.Sprintf("web_mix_%d", computers) }

func smallName(kind string, connections int) string {
	return fmt.Sprintf("web_small_%s_%d", kind, connections)
}

// site is something that serves HTTP, and what is behind it.
type site struct {
	*scene
	front *child
	url   string
}

var listening = regexp.MustCompile(`listening at (http://\S+)`)

// address waits until a server says where it listens.
func address(ctx context.Context, p *child) (string, error) {
	for {
		text, err := p.line(ctx)
		if err != nil {
			return "", err
		}
		if found := listening.FindStringSubmatch(text); found != nil {
			return found[1], nil
		}
	}
}

// openSite starts broker, workers by command line, and the front with these routes.
func (h *house) openSite(ctx context.Context, workers [][]string, routes ...string) (st *site, err error) {
	s, err := h.openScene(ctx, troupe)
	if err != nil {
		return nil, err
	}
	st = &site{scene: s}
	for _, w := range workers {
		p, err := start(true, h.program(w[0]), append(w[1:], s.at.worker)...)
		if err != nil {
			return nil, errors.Join(err, st.end())
		}
		s.others = append(s.others, p)
		for text := ""; text != "ready" && !strings.HasPrefix(text, "working for "); {
			if text, err = p.line(ctx); err != nil {
				return nil, errors.Join(err, st.end())
			}
		}
	}
	args := []string{"http", "--broker", s.at.client, "--listen", "127.0.0.1:0", "--access-log", "off"}
	for _, r := range routes {
		args = append(args, "--route", r)
	}
	if st.front, err = start(true, h.program(programTroupe), args...); err == nil {
		st.url, err = address(ctx, st.front)
	}
	if err != nil {
		return nil, errors.Join(err, st.end())
	}
	return st, nil
}

func (st *site) end() error {
	var err error
	if st.front != nil {
		err = st.front.stop()
	}
	if st.scene != nil {
		err = errors.Join(err, st.scene.close())
	}
	return err
}

// openPlain starts the peer.
func (h *house) openPlain(ctx context.Context) (*site, error) {
	p, err := start(true, h.program(programTwin), "web")
	if err != nil {
		return nil, err
	}
	url, err := address(ctx, p)
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return &site{front: p, url: url}, nil
}

var perSecondLine = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)

// small is requests for a small number by wrk.
func small(kind string, connections int) experiment {
	return experiment{smallName(kind, connections), []string{programTroupe, programTwin, programWrk}, func(ctx context.Context, h *house) (found values, err error) {
		var st *site
		if kind == peer {
			st, err = h.openPlain(ctx)
		} else {
			st, err = h.openSite(ctx, [][]string{{programTwin, "stages", "64"}}, "GET /is_prime = prime")
		}
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, st.end()) }()
		return h.wrk(ctx, st.url+smallNumber, connections)
	}}
}

// wrk loads a URL for as long as a run is, which is whole seconds to wrk.
func (h *house) wrk(ctx context.Context, url string, connections int) (values, error) {
	said, err := exec.CommandContext(ctx, programWrk, "-t", "1", "-c", strconv.Itoa(connections), "-d", strconv.Itoa(max(1, int(h.pace.run.Seconds()))), url).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("wrk: %w: %s", err, firstLines(said))
	}
	if strings.Contains(string(said), "Non-2xx") || strings.Contains(string(said), "Socket errors") {
		return nil, fmt.Errorf("wrk: requests have failed: %s", said)
	}
	found := perSecondLine.FindSubmatch(said)
	if found == nil {
		return nil, fmt.Errorf("wrk says no requests per second: %s", said)
	}
	rps, err := strconv.ParseFloat(string(found[1]), 64)
	return values{"rps": rps}, err
}

// mixed is one large number to 20 small ones through three stages, with so many workers that compute.
func mixed(computers int) experiment {
	return experiment{mixName(computers), []string{programTroupe, programTwin, programPrimed}, func(ctx context.Context, h *house) (found values, err error) {
		st, err := h.openSite(ctx, [][]string{
			{programPrimed, "--stages", "parse,format", "--workers", "64", "--join"}, {programPrimed, "--stages", "compute", "--workers", strconv.Itoa(computers), "--join"},
		}, "GET /is_prime = parse > compute > format")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, st.end()) }()
		return h.browse(ctx, st.url+"/is_prime", webConnections)
	}}
}

// mixedPlain is the same load on the peer.
func mixedPlain() experiment {
	return experiment{mixPlain, []string{programTwin}, func(ctx context.Context, h *house) (found values, err error) {
		st, err := h.openPlain(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, st.end()) }()
		return h.browse(ctx, st.url+"/is_prime", webConnections)
	}}
}

func (h *house) browse(ctx context.Context, url string, connections int) (found values, err error) {
	p, err := start(false, h.program(programTwin), "browse", url, strconv.Itoa(connections), h.warm.String(), h.pace.run.String())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.leave()) }()
	found = values{}
	return found, p.answer(ctx, &found)
}

// runHops is what a stage more adds to a single request: two that pass on, before the one that answers.
func runHops(ctx context.Context, h *house) (found values, err error) {
	st, err := h.openSite(ctx, [][]string{{programTwin, "stages", "8"}}, "GET /one = prime", "GET /three = hop1 > hop2 > prime")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.end()) }()
	one, err := h.browse(ctx, st.url+"/one", 1)
	if err != nil {
		return nil, err
	}
	three, err := h.browse(ctx, st.url+"/three", 1)
	if err != nil {
		return nil, err
	}
	return values{"us": (three["p50"] - one["p50"]) / 2}, nil
}

// runWebMemory is by how much the front's memory grows, in MiB, from one load to ten more of them.
func runWebMemory(ctx context.Context, h *house) (found values, err error) {
	st, err := h.openSite(ctx, [][]string{{programTwin, "stages", "64"}}, "GET /is_prime = prime")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.end()) }()
	var before float64
	for i := range 6 {
		if _, err := h.wrk(ctx, st.url+smallNumber, webConnections); err != nil {
			return nil, err
		}
		if i == 0 {
			if before, err = memory(st.front.PID(), "VmRSS"); err != nil {
				return nil, err
			}
		}
	}
	after, err := memory(st.front.PID(), "VmRSS")
	return values{"mib": (after - before) / (1 << 20)}, err
}
