package butterfly

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The head says what encoding/json would say, whatever is in it.
func TestHeadsAreJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		h := Head{
			Method: text.Draw(t, "method"), Path: text.Draw(t, "path"), Query: text.Draw(t, "query"), Host: text.Draw(t, "host"), Remote: text.Draw(t, "remote"), Trace: text.Draw(t, "trace"),
			Deadline: rapid.Int64().Draw(t, "deadline"), Hop: rapid.IntRange(0, 99).Draw(t, "hop"),
			Header: http.Header(rapid.MapOf(text, rapid.SliceOf(text)).Draw(t, "header")), Values: rapid.MapOf(text, text).Draw(t, "values"), From: rapid.SliceOfN(text, 0, 3).Draw(t, "from"),
		}
		for range h.From {
			h.Data = append(h.Data, json.RawMessage(rapid.SampledFrom([]string{"", "null", `{"a":[1]}`, "7"}).Draw(t, "data")))
		}
		want, err := json.Marshal(&h)
		if err != nil { // data of nobody
			want = nil
		}
		got := h.append(nil)
		var a, b Head
		require.NoError(t, json.Unmarshal(got, &a), "%s", got)
		if want != nil {
			require.NoError(t, json.Unmarshal(want, &b))
			require.Equal(t, b.Header, a.Header)
			require.Equal(t, b.Values, a.Values)
			require.Equal(t, []any{b.Method, b.Path, b.Query, b.Host, b.Remote, b.Trace, b.Deadline, b.Hop, b.From}, []any{a.Method, a.Path, a.Query, a.Host, a.Remote, a.Trace, a.Deadline, a.Hop, a.From})
		}
		require.Len(t, a.Data, len(h.From))
	})
}

func FuzzVerdicts(f *testing.F) {
	f.Add([]byte(`{"status":200,"header":{"A":["b"]}}`))
	f.Add([]byte(`{"to":["a","b"],"join":"c","data":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v verdictHead
		if _, err := v.parse(b); err != nil {
			require.NotEmpty(t, strings.TrimSpace(err.Error()))
		}
	})
}
