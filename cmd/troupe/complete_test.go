package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompletionScripts(t *testing.T) {
	for shell, words := range map[string]string{"bash": "__start_troupe", "zsh": "#compdef troupe", "fish": "complete -c troupe", "powershell": "Register-ArgumentCompleter"} {
		require.Contains(t, troupe(t, exitOK, "completion", shell).out.String(), words)
	}
}

// completions is what a shell offers behind these words.
func (h *house) completions(t *testing.T, words ...string) []string {
	t.Helper()
	all := strings.Split(strings.TrimSpace(troupe(t, exitOK, append([]string{h.clients, "__complete"}, words...)...).out.String()), "\n")
	require.Equal(t, ":4", all[len(all)-1], "no names of files")
	return all[:len(all)-1]
}

func TestCompletionAsksTheBroker(t *testing.T) {
	h := newHouse(t)
	h.worker(t, "--name", "w1", "--service", "count,echo")
	_, handle := h.hit(t, "count")
	require.Equal(t, []string{"count\t1 of 8 slots used", "echo\t1 of 8 slots used"}, h.completions(t, "call", ""))
	require.Equal(t, []string{"echo\t1 of 8 slots used"}, h.completions(t, "call", "e"))
	require.Empty(t, h.completions(t, "call", "echo", ""))
	require.Equal(t, []string{"w1\t1 of 8 slots used"}, h.completions(t, "hit", "list", "--worker", ""))
	require.Len(t, h.completions(t, "hit", "list", "--service", ""), 2)
	require.Regexp(t, "^"+handle+"\tcount at w1, open [0-9.]+m?s$", h.completions(t, "hit", "kill", "")[0])
	require.Contains(t, h.completions(t, "worker", "--service", "up"), "upper\tanswers with the body in capitals")
}

func TestCompletionWithoutABroker(t *testing.T) {
	none := &house{clients: clientsEnv + "=tcp://127.0.0.1:1"}
	require.Empty(t, none.completions(t, "call", ""))
	require.Empty(t, none.completions(t, "hit", "kill", "--broker", "nonsense", ""))
}
