package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Tasks from Python to Python, against ipyparallel: two engines, or workers, on either side.

const (
	pythonTasks, pythonPeer = "python_tasks", "python_peer"
	peerIPython             = "ipyparallel"
	ipController, ipEngine  = "ipcontroller", "ipengine"
	engines                 = 2
)

// systemPython is Debian's: python3-zmq and python3-ipyparallel belong to it, whatever is first on PATH.
const systemPython = "/usr/bin/python3"

func (h *house) needPython() {
	for _, name := range []string{ipController, ipEngine} {
		if _, err := exec.LookPath(name); err != nil {
			h.broken[name] = fmt.Errorf("missing: %s is not installed; run: sudo apt-get install -y python3-ipyparallel", name)
		}
	}
}

func (h *house) script() string { return filepath.Join(h.root, "test/bench/py/tasks.py") }

// inPython is tasks of Troupe's Python client for two Python workers.
func inPython() experiment {
	return experiment{pythonTasks, []string{programTroupe}, func(ctx context.Context, h *house) (found values, err error) {
		s, err := h.openScene(ctx, troupe)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		folder := filepath.Join(h.root, "examples/python")
		for range engines {
			w, err := start(true, systemPython, filepath.Join(folder, "troupe_tasks.py"), s.at.worker, "--allow-functions")
			if err != nil {
				return nil, err
			}
			s.others = append(s.others, w)
			if _, err := w.line(ctx); err != nil {
				return nil, err
			}
		}
		return told(ctx, "troupe", h.script(), folder, s.at.client, strconv.Itoa(h.count(5000)))
	}}
}

// inIPython is the peer.
func inIPython() experiment {
	return experiment{pythonPeer, []string{ipController, ipEngine}, func(ctx context.Context, h *house) (found values, err error) {
		dir, err := os.MkdirTemp(h.temp, "ipython")
		if err != nil {
			return nil, err
		}
		var all []*child
		defer func() {
			for i := len(all) - 1; i > 0; i-- { // engines take their time to say goodbye
				all[i].Kill()
				<-all[i].Done()
			}
			if len(all) > 0 {
				err = errors.Join(err, all[0].stop()) // it has processes of its own, which it ends itself
			}
		}()
		run := func(program string, args ...string) error {
			p, err := start(true, program, append([]string{"--ipython-dir=" + dir, "--profile-dir=" + dir}, args...)...)
			if err == nil {
				all = append(all, p)
			}
			return err
		}
		if err := run(ipController, "--ip=127.0.0.1"); err != nil {
			return nil, err
		}
		security := filepath.Join(dir, "security")
		if err := exists(ctx, filepath.Join(security, "ipcontroller-engine.json")); err != nil {
			return nil, err
		}
		for range engines {
			if err := run(ipEngine, "--file="+filepath.Join(security, "ipcontroller-engine.json")); err != nil {
				return nil, err
			}
		}
		return told(ctx, "ipyparallel", h.script(), filepath.Join(security, "ipcontroller-client.json"), strconv.Itoa(h.count(500)))
	}}
}

// count is so many tasks in a run of full length.
func (h *house) count(full int) int { return max(1, int(float64(full)*h.pace.run.Seconds()/2)) }

// told is what the script measures.
func told(ctx context.Context, kind, script string, args ...string) (found values, err error) {
	p, err := start(false, systemPython, append([]string{script, kind}, args...)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.leave()) }()
	found = values{}
	return found, p.answer(ctx, &found)
}

// exists waits for a file.
func exists(ctx context.Context, path string) error {
	for {
		if s, err := os.Stat(path); err == nil && s.Size() > 0 {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s does not come: %w", path, context.Cause(ctx))
		}
	}
}
