package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFilesOfRequestsArePumpedThrough(t *testing.T) {
	h := newHouse(t)
	h.python(t, stagePython)
	var lines, want strings.Builder
	for i := range 300 {
		fmt.Fprintf(&lines, "line %d\n", i)
		fmt.Fprintf(&want, "<LINE %d> python\n", i)
	}
	file := filepath.Join(t.TempDir(), "lines")
	require.NoError(t, os.WriteFile(file, []byte(lines.String()), 0o600))
	p := troupe(t, exitOK, h.clients, "http", "pump", "--route", "POST /x = shout > frame", "--path", "/x", file)
	require.True(t, want.String() == p.out.String(), "all answers, in order")

	p = troupeIn(t, exitFailed, "/early\n/nowhere\n/early\n", h.clients, "http", "pump", "--route", "/early = shout", "-o", "json")
	require.Contains(t, p.err.String(), "1 of 3 requests have failed")
	require.Regexp(t, `(?s)"request":"/early","status":202.*"request":"/nowhere","status":404.*"status":202`, p.out.String())

	for want, args := range map[string]string{"no --route": "", "from 1 to 4096": "--route /=a --in-flight 0", "begins with a /": "--route /=a --path x"} {
		require.Contains(t, troupe(t, exitUsage, append([]string{h.clients, "http", "pump"}, strings.Fields(args)...)...).err.String(), want)
	}
	require.Contains(t, troupeIn(t, exitUsage, "hello\n", h.clients, "http", "pump", "--route", "/=shout").err.String(), "is no target")
	require.Contains(t, troupe(t, exitFailed, h.clients, "http", "pump", "--route", "/=shout", "/no/such/file").err.String(), "no such file")

	status := troupe(t, exitOK, h.clients, "status").out.String()
	require.Regexp(t, `(?m)^frame +1 +\d+ +\d+ +0 +0 +\d{3} +\S+s +\S+s$`, status, "hits, and how long they had a slot")
}

// Clients of other makes.
func TestHTTPWithForeignClients(t *testing.T) {
	h := newHouse(t)
	h.python(t, stagePython)
	p := start(t, h.clients, "http", "--listen", "127.0.0.1:0", "--route", "POST / = shout > frame", "--access-log", "off")
	url := strings.TrimSpace(strings.TrimPrefix(p.err.await(t, "listening at "), "listening at "))
	body := filepath.Join(t.TempDir(), "body")
	require.NoError(t, os.WriteFile(body, []byte("hello"), 0o600))
	const python = `
import http.client, sys
c = http.client.HTTPConnection(sys.argv[1].removeprefix("http://"), timeout=30)
for i in range(3):
    c.request("POST", "/x", body=iter([b"hel", b"lo"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    r = c.getresponse()
    print(r.status, r.read().decode())
`
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"curl":    {[]string{"curl", "-sS", "--data-binary", "@" + body, url + "/x"}, "<HELLO> python"},
		"chunked": {[]string{"curl", "-sS", "-H", "Transfer-Encoding: chunked", "--data-binary", "@" + body, url + "/x", url + "/early"}, "<HELLO> pythonearly"},
		"http1.0": {[]string{"curl", "-sS", "-0", "--data-binary", "@" + body, url + "/x"}, "<HELLO> python"},
		"python":  {[]string{"/usr/bin/python3", "-c", python, url}, "200 <HELLO> python\n200 <HELLO> python\n200 <HELLO> python\n"},
		"ab":      {[]string{"ab", "-q", "-k", "-n", "200", "-c", "8", "-p", body, "-T", "text/plain", url + "/x"}, "Complete requests:      200\nFailed requests:        0\n"},
		"wrk":     {[]string{"wrk", "-t", "1", "-c", "4", "-d", "1", url + "/early"}, "requests in"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(c.args[0]); err != nil {
				t.Skipf("%s is not installed: %v", c.args[0], err)
			}
			said, err := exec.CommandContext(t.Context(), c.args[0], c.args[1:]...).CombinedOutput()
			require.NoError(t, err, "%s", said)
			require.Contains(t, string(said), c.want)
		})
	}
}
