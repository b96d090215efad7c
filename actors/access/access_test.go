package access_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/actors/access"
)

// keyOf is a key like no other.
func keyOf(n uint64) (k access.Key) {
	binary.BigEndian.PutUint64(k[24:], n)
	return k
}

func TestKeyInZ85(t *testing.T) {
	// RFC 32's own example is HelloWorld for eight bytes; a key has four times as many.
	var k access.Key
	for i := range 4 {
		copy(k[8*i:], "\x86\x4F\xD2\x6F\xB5\x59\xF7\x5B")
	}
	require.Equal(t, strings.Repeat("HelloWorld", 4), k.String())
	again, err := access.ParseKey(k.String())
	require.NoError(t, err)
	require.Equal(t, k, again)
	for name, text := range map[string]string{
		"short": "HelloWorld", "long": strings.Repeat("HelloWorld", 5), "other letter": strings.Repeat("Hello~orld", 4),
		"too large": "#####" + strings.Repeat("0", 35), "empty": "",
	} {
		_, err := access.ParseKey(text)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), strings.Repeat("HelloWorld", 2), "what may be a secret is not shown")
	}
	require.Len(t, k.Fingerprint(), 12)
	require.Equal(t, k.Fingerprint(), access.Fingerprint(k.String()))
	require.Equal(t, "unreadable", access.Fingerprint("x"))
}

func TestHanded(t *testing.T) {
	h := access.Handed{Broker: keyOf(1), Secret: keyOf(2)}
	text := h.String()
	again, err := access.ParseHanded(" " + text + "\n")
	require.NoError(t, err)
	require.Equal(t, h, again)
	for i := len("troupe1-"); i < len(text); i++ {
		changed := []byte(text)
		changed[i] ^= 1
		_, err := access.ParseHanded(string(changed))
		require.Error(t, err, "character %d", i)
		require.NotContains(t, err.Error(), text[8:30])
	}
	for want, bad := range map[string]string{
		"not copied whole":   text[:len(text)-1],
		"something was":      text + "A",
		"version":            "troupe2-" + text[8:],
		"checksum":           text[:20] + "B" + text[21:],
		"begins with":        "hello",
		"was changed when":   text[:20] + "!" + text[21:],
		"must have":          "troupe1-",
		"troupe keys add":    "",
		"characters does no": strings.Repeat("x", 2000),
	} {
		_, err := access.ParseHanded(bad)
		require.ErrorContains(t, err, want, "of %.30q", bad)
	}
}

func TestBook(t *testing.T) {
	text := "# a comment\n\n ann " + keyOf(1).String() + " client=upper,echo admin\nw1\t" + keyOf(2).String() + "   worker=*\n"
	b, err := access.Parse(text)
	require.NoError(t, err)
	require.Len(t, b.Entries(), 2)
	ann := b.Named("ann")
	require.Equal(t, access.Services{"echo", "upper"}, ann.Client)
	require.True(t, ann.Admin)
	require.Same(t, ann, b.Find(keyOf(1).String()))
	require.Nil(t, b.Find(keyOf(3).String()))
	again, err := access.Parse(b.Format())
	require.NoError(t, err)
	require.Equal(t, b.Format(), again.Format())

	less := b.Without("ann")
	require.Nil(t, less.Find(keyOf(1).String()))
	require.NotNil(t, b.Named("ann"), "a book is never changed")
	more, err := less.With(access.Entry{Name: "bob", Key: keyOf(4), Rights: access.Rights{Admin: true}})
	require.NoError(t, err)
	require.NotNil(t, more.Named("bob"))
	_, err = more.With(access.Entry{Name: "eve", Key: keyOf(4)})
	require.ErrorContains(t, err, "the same key")
	require.Nil(t, (*access.Book)(nil).Find("x"))
}

func TestBookThatCannotBeRead(t *testing.T) {
	k := keyOf(1).String()
	for bad, want := range map[string]string{
		"ann\n":                             "line 1",
		"ann " + k + "\n":                   "at least one right",
		"\nann short client=*\n":            "line 2",
		"ann " + k + " clients=*\n":         "no right",
		"ann " + k + " client\n":            "no right",
		"ann " + k + " client=\n":           "service's name has 0 bytes",
		"ann " + k + " client=a,,b\n":       "service's name has 0 bytes",
		"ann " + k + " client=ä\n":          "printable ASCII",
		"ann " + k + " client=a client=b\n": "comes twice",
		"ann " + k + " admin admin\n":       "comes twice",
		"-ann " + k + " admin\n":            "name",
		"a/n " + k + " admin\n":             "name",
		"ann " + k + " admin\nann " + keyOf(2).String() + " admin\n": "line 2: name or key is that of line 1",
		"ann " + k + " admin\nbob " + k + " admin\n":                 "line 2: name or key is that of line 1",
		strings.Repeat("n", 65) + " " + k + " admin\n":               "65 characters",
	} {
		b, err := access.Parse(bad)
		require.ErrorContains(t, err, want, "%q", bad)
		require.Nil(t, b, "half a list is none")
	}
}

func TestDecisions(t *testing.T) {
	b, err := access.NewBook(
		access.Entry{Name: "ann", Key: keyOf(1), Rights: access.Rights{Client: access.Services{"upper"}}},
		access.Entry{Name: "w1", Key: keyOf(2), Rights: access.Rights{Worker: access.Services{"echo", "upper"}}},
		access.Entry{Name: "root", Key: keyOf(3), Rights: access.Rights{Admin: true}},
		access.Entry{Name: "any", Key: keyOf(4), Rights: access.Rights{Client: access.Services{access.All}, Worker: access.Services{access.All}}},
	)
	require.NoError(t, err)
	ann, w1, root, anyone, stranger := keyOf(1).String(), keyOf(2).String(), keyOf(3).String(), keyOf(4).String(), keyOf(5).String()
	for _, ok := range []error{
		b.MayEnter(ann), b.MayEnter(root), b.MayEnter(anyone), b.MayOpen(ann, "upper"), b.MayOpen(anyone, "x"),
		b.MayServe(w1, []string{"upper"}), b.MayServe(w1, []string{"upper", "echo"}), b.MayServe(anyone, []string{"x"}), b.MayAdmin(root),
	} {
		require.NoError(t, ok)
	}
	for want, denied := range map[string]error{
		"`troupe keys add w1 --extend --client SERVICE`":            b.MayEnter(w1),
		"`troupe keys add ann --extend --client echo`":              b.MayOpen(ann, "echo"),
		"`troupe keys add root --extend --client 'a*b'`":            b.MayOpen(root, "a*b"),
		"`troupe keys add w1 --extend --worker sleep,spin`":         b.MayServe(w1, []string{"echo", "sleep", "spin"}),
		"`troupe keys add ann --extend --worker upper`":             b.MayServe(ann, []string{"upper"}),
		"`troupe keys add ann --extend --admin`":                    b.MayAdmin(ann),
		"key " + keyOf(1).Fingerprint() + " (ann) may client=upper": b.MayAdmin(ann),
		"is not known here": b.MayEnter(stranger),
	} {
		require.ErrorContains(t, denied, want)
	}
	for _, denied := range []error{b.MayOpen(stranger, "upper"), b.MayServe(stranger, nil), b.MayAdmin(stranger)} {
		require.ErrorContains(t, denied, keyOf(5).Fingerprint())
	}
}

func TestRightsTogether(t *testing.T) {
	a := access.Rights{Client: access.Services{"b"}, Admin: true}
	both := a.With(access.Rights{Client: access.Services{"a", "b"}, Worker: access.Services{"x", access.All}})
	require.Equal(t, access.Rights{Client: access.Services{"a", "b"}, Worker: access.Services{access.All}, Admin: true}, both)
	require.Equal(t, "client=a,b worker=* admin", both.String())
	require.Equal(t, "none", access.Rights{}.String())
	require.Equal(t, access.Services{"b"}, a.Client, "what was put together stays as it was")
}

func FuzzParse(f *testing.F) {
	f.Add("ann " + keyOf(1).String() + " client=upper,echo admin\n")
	f.Add("# c\nw1 " + keyOf(2).String() + " worker=*\r\n")
	f.Add("x y z")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := access.Parse(text)
		if err != nil {
			require.Nil(t, b)
			require.NotEmpty(t, err.Error())
			return
		}
		again, err := access.Parse(b.Format())
		require.NoError(t, err, "what was written can be read")
		require.Equal(t, b.Format(), again.Format())
		for _, e := range b.Entries() {
			require.False(t, e.Empty(), "who is listed may something")
			require.Same(t, e, b.Find(e.Key.String()))
			require.Same(t, e, b.Named(e.Name))
		}
	})
}

func FuzzParseHanded(f *testing.F) {
	f.Add(access.Handed{Broker: keyOf(1), Secret: keyOf(2)}.String())
	f.Add("troupe1-")
	f.Fuzz(func(t *testing.T, text string) {
		if h, err := access.ParseHanded(text); err == nil {
			require.Equal(t, strings.TrimSpace(text), h.String(), "a key has one form only")
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add(keyOf(1).String())
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := access.ParseKey(text); err == nil {
			require.Equal(t, text, k.String())
		}
	})
}
