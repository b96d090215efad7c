package assigner_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

type addends struct {
	Numbers []float64 `json:"numbers"`
	Unit    string    `json:"unit,omitempty"`
}

type total struct {
	Total float64 `json:"total"`
}

func add(_ context.Context, _ *assigner.Call, s addends) (total, error) {
	if s.Unit == "stones" {
		return total{}, errors.New("stones are not added")
	}
	var t total
	for _, n := range s.Numbers {
		t.Total += n
	}
	return t, nil
}

// typed is a client of a worker whose services take and give values.
func typed(t *testing.T, codec assigner.Codec) *assigner.Client {
	b := startBroker(t)
	raw := func(frames ...string) assigner.Service {
		return assigner.Service{Handler: func(_ context.Context, c *assigner.Call) ([]byte, error) {
			for _, f := range frames[1:] {
				c.More([]byte(f))
			}
			return []byte(frames[0]), nil
		}}
	}
	startWorker(t, b.WorkerEndpoints()[0], services{
		"add":   {Handler: assigner.Typed(add)},
		"words": raw("seven"), "twice": raw(`{"total":1}`, `{"total":2}`),
	}, func(c *assigner.WorkerConfig) { c.Codec = codec })
	return dial(t, b.ClientEndpoints()[0])
}

func TestValuesGoAndCome(t *testing.T) {
	c, ctx := typed(t, nil), limited(t)
	got, err := assigner.DoAs[total](ctx, c, "add", addends{Numbers: []float64{1, 2, 3.5}})
	require.NoError(t, err)
	require.InDelta(t, 6.5, got.Total, 0)
	h, err := c.Open(ctx, "add")
	require.NoError(t, err)
	for _, n := range []float64{1, 2, 3} {
		got, err := assigner.CallAs[total](ctx, h, addends{Numbers: []float64{n, n}})
		require.NoError(t, err)
		require.InDelta(t, 2*n, got.Total, 0)
	}
	require.NoError(t, h.Close(ctx))
}

// requireUnread says that err is a bad body with this outcome and these words.
func requireUnread(t *testing.T, err error, o assigner.Outcome, words ...string) {
	t.Helper()
	require.ErrorIs(t, err, assigner.ErrBadBody)
	var failed *assigner.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, o, failed.Outcome)
	for _, w := range words {
		require.ErrorContains(t, err, w)
	}
}

// TestABodyThatIsNotReadNeverStarts: "the service could not read the body, so it did not run".
func TestABodyThatIsNotReadNeverStarts(t *testing.T) {
	c, ctx := typed(t, nil), limited(t)
	for body, words := range map[string][]string{
		"":                       {`service "add"`, "0 bytes", "json", "assigner_test.addends", "unexpected end"},
		"{":                      {"1 bytes", "unexpected end"},
		`{"numbers":1}`:          {"field numbers at byte 12", "a number where a []float64 belongs"},
		`{"numbers":[1]} behind`: {"at byte", "invalid character 'b'"},
	} {
		_, err := c.Do(ctx, "add", []byte(body))
		requireUnread(t, err, assigner.NeverStarted, words...)
	}
	_, err := c.DoWith(ctx, assigner.OpenRequest{Service: "add"}, assigner.Request{Frames: [][]byte{[]byte("{}"), nil}})
	requireUnread(t, err, assigner.NeverStarted, "2 frames where one belongs")

	h, err := c.Open(ctx, "add")
	require.NoError(t, err)
	_, err = h.Call(ctx, []byte("?"))
	requireUnread(t, err, assigner.NeverStarted)
	got, err := assigner.CallAs[total](ctx, h, addends{Numbers: []float64{4}})
	require.NoError(t, err, "the hit goes on")
	require.InDelta(t, 4, got.Total, 0)
}

func TestTheServicesOwnErrorIsNoBadBody(t *testing.T) {
	_, err := assigner.DoAs[total](limited(t), typed(t, nil), "add", addends{Unit: "stones"})
	require.ErrorIs(t, err, assigner.ErrService)
	require.NotErrorIs(t, err, assigner.ErrBadBody)
}

// "or the client could not read the reply"
func TestAReplyThatIsNotReadHasFinished(t *testing.T) {
	c, ctx := typed(t, nil), limited(t)
	_, err := assigner.DoAs[total](ctx, c, "words", addends{})
	requireUnread(t, err, assigner.Finished, "reply of 5 bytes", "assigner_test.total", "invalid character 's'")
	_, err = assigner.DoAs[total](ctx, c, "twice", addends{})
	requireUnread(t, err, assigner.Finished, "2 frames where one belongs")
}

func TestAValueWithoutAFormIsNotSent(t *testing.T) {
	c := typed(t, nil)
	_, err := assigner.DoAs[total](limited(t), c, "add", math.Inf(1))
	requireUnread(t, err, assigner.NeverStarted, "float64 has no form as json")
	_, err = assigner.DoAs[total](limited(t), c, "add", addends{Numbers: []float64{math.MaxFloat64, math.MaxFloat64}})
	require.ErrorIs(t, err, assigner.ErrService, "the service ran")
	require.ErrorContains(t, err, "the service ran, but its reply has no form as json")
}

func TestTheStrictCodecTakesNoFieldThatIsNotThere(t *testing.T) {
	lenient, strict, ctx := typed(t, nil), typed(t, assigner.StrictJSON), limited(t)
	const misspelt = `{"nubmers":[1,2]}`
	_, err := lenient.Do(ctx, "add", []byte(misspelt))
	require.NoError(t, err)
	_, err = strict.Do(ctx, "add", []byte(misspelt))
	requireUnread(t, err, assigner.NeverStarted, `unknown field "nubmers"`)
	_, err = strict.Do(ctx, "add", []byte(`{} {}`))
	requireUnread(t, err, assigner.NeverStarted, "at byte 4: something follows the value")
	_, err = strict.Do(ctx, "add", nil)
	requireUnread(t, err, assigner.NeverStarted, "there is no value")
	got, err := assigner.DoAs[total](ctx, strict, "add", addends{Numbers: []float64{2}})
	require.NoError(t, err)
	require.InDelta(t, 2, got.Total, 0)
}

// FuzzTyped: no body makes a typed handler do anything but read it or refuse it.
func FuzzTyped(f *testing.F) {
	f.Add([]byte(`{"numbers":[1,2]}`))
	f.Add([]byte(`{"numbers":{}}`))
	f.Add([]byte("\x00"))
	handler := assigner.Typed(add)
	f.Fuzz(func(t *testing.T, body []byte) {
		reply, err := handler(context.Background(), &assigner.Call{Service: "add", Frames: [][]byte{body}})
		var unread *assigner.BodyError
		if errors.As(err, &unread) {
			require.Nil(t, reply)
			return
		}
		if err == nil {
			var got total
			require.NoError(t, assigner.JSON.Unmarshal(reply, &got))
		}
	})
}
