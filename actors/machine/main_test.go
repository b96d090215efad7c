package machine_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// spec returns the specification.
func spec(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/protocol/hit.md")
	require.NoError(t, err)
	return string(text)
}

// quote fails the test when the specification does not say the sentence (any more): the test would then prove nothing.
func quote(t testing.TB, sentence string) {
	t.Helper()
	folded := strings.Join(strings.Fields(spec(t)), " ")
	require.Contains(t, folded, strings.Join(strings.Fields(sentence), " "), "the specification does not say this")
}

// stateTable returns the cells of the state table: by state, then by column.
func stateTable(t testing.TB) map[string]map[string]string {
	t.Helper()
	_, after, found := strings.Cut(spec(t), "### States of a hit at the broker")
	require.True(t, found)
	var columns []string
	table := map[string]map[string]string{}
	for line := range strings.SplitSeq(after, "\n") {
		if !strings.HasPrefix(line, "|") {
			if columns != nil && len(table) > 0 {
				break
			}
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case columns == nil:
			columns = cells
		case strings.HasPrefix(cells[0], "---"):
		default:
			row := map[string]string{}
			for i, cell := range cells[1:] {
				row[columns[i+1]] = cell
			}
			table[cells[0]] = row
		}
	}
	return table
}
