package wire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

func TestHello(t *testing.T) {
	quote(t, `HELLO: `+"`"+`{"name": text, "lang": text, "window": bytes, "beat_ms": n}`+"`"+`, all optional.`)
	for name, tc := range map[string]struct{ in, bad string }{
		"empty object":     {in: `{}`},
		"all fields":       {in: `{"name":"web-1","lang":"go","window":1048576}`},
		"unknown field":    {in: `{"colour":"red"}`},
		"leading blanks":   {in: " \r\n\t{}"},
		"longest name":     {in: `{"name":"` + strings.Repeat("n", wire.MaxName) + `"}`},
		"no bytes":         {in: ``, bad: "not an object"},
		"null":             {in: `null`, bad: "not an object"},
		"array":            {in: `[]`, bad: "not an object"},
		"cut off":          {in: `{"name":`, bad: "cannot be read"},
		"more after it":    {in: `{}{}`, bad: "cannot be read"},
		"name of a number": {in: `{"name":1}`, bad: "cannot be read"},
		"heartbeats":       {in: `{"beat_ms":1000}`},
		"negative beat":    {in: `{"beat_ms":-1}`, bad: "beat_ms"},
		"negative window":  {in: `{"window":-1}`, bad: "window"},
		"endless window":   {in: `{"window":1e30}`, bad: "cannot be read"},
		"long name":        {in: `{"name":"` + strings.Repeat("n", wire.MaxName+1) + `"}`, bad: "name"},
		"over a MiB":       {in: `{}` + strings.Repeat(" ", wire.MaxJSON), bad: "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.ParseHello([]byte(tc.in))
			judge(t, err, tc.bad)
		})
	}
	got, err := wire.ParseHello([]byte(`{"name":"web-1","lang":"go","window":4096}`))
	require.NoError(t, err)
	require.Equal(t, wire.HelloInfo{Name: "web-1", Lang: "go", Window: 4096}, got)
}

func TestReady(t *testing.T) {
	quote(t, "`services` and `slots` are required, 1 to 65,535 slots.")
	quote(t, `"threads": "pinned"|"shared"`)
	for name, tc := range map[string]struct{ in, bad string }{
		"least":              {in: `{"services":["echo"],"slots":1}`},
		"most slots":         {in: `{"services":["echo"],"slots":65535}`},
		"several services":   {in: `{"services":["echo","sum"],"slots":2}`},
		"all busy":           {in: `{"services":["echo"],"slots":8,"busy":8}`},
		"shared threads":     {in: `{"services":["echo"],"slots":1,"threads":"shared"}`},
		"no services":        {in: `{"slots":1}`, bad: "services"},
		"empty services":     {in: `{"services":[],"slots":1}`, bad: "services"},
		"nameless service":   {in: `{"services":[""],"slots":1}`, bad: "service name"},
		"service with blank": {in: `{"services":["a b"],"slots":1}`, bad: "service name"},
		"no slots":           {in: `{"services":["echo"]}`, bad: "slots"},
		"negative slots":     {in: `{"services":["echo"],"slots":-1}`, bad: "slots"},
		"too many slots":     {in: `{"services":["echo"],"slots":65536}`, bad: "slots"},
		"negative busy":      {in: `{"services":["echo"],"slots":1,"busy":-1}`, bad: "busy"},
		"room to grow":       {in: `{"services":["echo"],"slots":2,"slots_max":8}`},
		"full, but can grow": {in: `{"services":["echo"],"slots":0,"slots_max":8}`},
		"max below slots":    {in: `{"services":["echo"],"slots":2,"slots_max":1}`, bad: "slots_max"},
		"max over the limit": {in: `{"services":["echo"],"slots":2,"slots_max":65536}`, bad: "slots_max"},
		"busier than slots":  {in: `{"services":["echo"],"slots":1,"busy":2}`, bad: "busy"},
		"odd threads":        {in: `{"services":["echo"],"slots":1,"threads":"green"}`, bad: "threads"},
		"negative window":    {in: `{"services":["echo"],"slots":1,"window":-1}`, bad: "window"},
		"long name":          {in: `{"services":["echo"],"slots":1,"name":"` + strings.Repeat("n", 129) + `"}`, bad: "name"},
		"not JSON":           {in: `ready`, bad: "not an object"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.ParseReady([]byte(tc.in))
			judge(t, err, tc.bad)
		})
	}
}

func TestReadyKeepsEveryField(t *testing.T) {
	want := wire.ReadyInfo{
		Name: "w1", Services: []string{"echo", "sum"}, Slots: 8, Busy: 2, PID: 4711, Host: "left",
		Incarnation: "00ff", Lang: "c", Threads: "pinned", Window: 1 << 20,
	}
	got, err := wire.ParseReady(wire.JSON(want))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestServiceName(t *testing.T) {
	quote(t, "service = 1*128VCHAR ; one frame, ASCII without blanks")
	for _, good := range []string{"a", "echo", "Sum/v2", "!", "~", strings.Repeat("s", 128)} {
		require.NoError(t, wire.CheckService([]byte(good)), good)
	}
	for _, odd := range []string{"", " ", "a b", "a\x00", "a\n", "\x7f", "größe", "\xff", strings.Repeat("s", 129)} {
		requireBad(t, wire.BadFrame, wire.CheckService([]byte(odd)), "service name")
	}
}

func TestOptions(t *testing.T) {
	quote(t, "Options is a JSON object or empty; the key `label` names the hit in listings, the key `session` is for the worker, other keys are ignored.")
	quote(t, "options = *OCTET ; empty, or a JSON object of at most 64 KiB")
	longest := `{"label":"` + strings.Repeat("l", wire.MaxOptions-12) + `"}`
	require.Len(t, longest, wire.MaxOptions)
	for name, tc := range map[string]struct{ in, bad string }{
		"empty":     {in: ``},
		"object":    {in: `{}`},
		"other key": {in: `{"colour":"red"}`},
		"64 KiB":    {in: longest},
		"over it":   {in: longest + " ", bad: "at most 65536"},
		"null":      {in: `null`, bad: "not an object"},
		"array":     {in: `[1]`, bad: "not an object"},
		"not JSON":  {in: `{label}`, bad: "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.ParseOptions([]byte(tc.in))
			judge(t, err, tc.bad)
		})
	}
	got, err := wire.ParseOptions([]byte(`{"label":"night run","session":{"db": "a"}}`))
	require.NoError(t, err)
	require.Equal(t, wire.OpenOptions{Label: "night run", Session: json.RawMessage(`{"db": "a"}`)}, got)
}

func TestWelcomeHasTheKeysOfTheSpecification(t *testing.T) {
	quote(t, `{"broker": text, "incarnation": hex, "max_body": bytes, "window": bytes, "heartbeat_ms": n, "name": text}`)
	info := wire.WelcomeInfo{Broker: "b", Incarnation: "0f", MaxBody: 1, Window: 2, HeartbeatMS: 3, Name: "n"}
	require.Equal(t, `{"broker":"b","incarnation":"0f","max_body":1,"window":2,"heartbeat_ms":3,"name":"n"}`, string(wire.JSON(info)))
}

func TestJSONPanicsOnWhatHasNoForm(t *testing.T) {
	require.Panics(t, func() { wire.JSON(func() {}) })
}

// judge demands success, or a bad-frame whose text has the words.
func judge(t *testing.T, err error, words string) {
	t.Helper()
	if words == "" {
		require.NoError(t, err)
		return
	}
	requireBad(t, wire.BadFrame, err, words)
}
