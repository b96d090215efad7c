package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stageWorker answers as a stage, in a few lines of shell: see docs/protocol/butterfly.md.
const stagePython = `
import json, sys
sys.path.insert(0, %q)
from troupe import serve, service
@service("shout", slots=4)
def shout(call):
    head = json.loads(call.bodies[0])
    body = call.bodies[1] if len(call.bodies) > 1 else b""
    if head["path"] == "/early":
        return [json.dumps({"status": 202}).encode(), b"early"]
    return [json.dumps({"next": True, "data": {"by": "python"}}).encode(), body.upper()]
@service("frame", slots=4)
def frame(call):
    head = json.loads(call.bodies[0])
    return [json.dumps({"status": 200, "header": {"Content-Type": ["text/plain"]}}).encode(), b"<" + call.bodies[1] + b"> " + head["data"][0]["by"].encode()]
serve(%q)
`

func get(t *testing.T, url, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	got, err := c.Do(r)
	require.NoError(t, err)
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	return got.StatusCode, string(b)
}

func TestHTTPWithPythonStages(t *testing.T) {
	h := newHouse(t)
	h.python(t, stagePython)
	p := start(t, h.clients, "http", "--listen", "127.0.0.1:0", "--route", "POST / = shout > frame", "--access-log", "json")
	url := strings.TrimSpace(strings.TrimPrefix(p.err.await(t, "listening at "), "listening at "))
	status, body := get(t, url+"/x", "hello")
	require.Equal(t, 200, status, body)
	require.Equal(t, "<HELLO> python", body)
	status, body = get(t, url+"/early", "hello")
	require.Equal(t, 202, status)
	require.Equal(t, "early", body)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.expect(exitOK)
	require.Contains(t, p.out.String(), `"target":"/early"`)
}

func TestBadHTTPFlags(t *testing.T) {
	for want, args := range map[string]string{
		"no --route":                  "",
		"has no =":                    "--route /",
		"empty stage":                 "--route /=a>",
		"--tls-cert and --tls-key":    "--route /=a --tls-cert x",
		"other machines can reach it": "--route /=a --listen 0.0.0.0:0",
		"STAGE=cookie:NAME":           "--route /=a --session a",
		"start at 1":                  "--route /=a --max-hops 0",
		"longer than nothing":         "--route /=a --drain 0",
		"write it as 127.0.0.1":       "--route /=a --listen nowhere",
	} {
		p := troupe(t, exitUsage, append([]string{"http"}, strings.Fields(args)...)...)
		require.Contains(t, p.err.String(), want)
	}
}

// python starts a Python program that works for the house's broker; the text has places for the library's folder and the endpoint.
func (h *house) python(t *testing.T, text string) {
	t.Helper()
	folder, err := filepath.Abs("../../examples/python")
	require.NoError(t, err)
	_, endpoint, _ := strings.Cut(h.workers, "=")
	cmd := exec.Command("/usr/bin/python3", "-c", fmt.Sprintf(text, folder, endpoint))
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	c := start(t, h.clients, "call", "shout", "--timeout", "30s") // it is registered when it answers, whatever it says
	c.expectAny()
}

// expectAny waits for the end of a program.
func (p *process) expectAny() {
	p.t.Helper()
	select {
	case <-p.gone:
	case <-time.After(safety):
		require.FailNow(p.t, "the program does not end")
	}
}
