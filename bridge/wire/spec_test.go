package wire_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// spec returns the specification with all white space folded, so that a quotation may cross its line ends.
func spec(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/protocol/hit.md")
	require.NoError(t, err)
	return strings.Join(strings.Fields(string(text)), " ")
}

// quote fails the test when the specification does not say the sentence (any more): the test would then prove nothing.
func quote(t testing.TB, sentence string) {
	t.Helper()
	require.Contains(t, spec(t), sentence, "the specification does not say this")
}

// specTable returns the cells of the rows of a section's tables whose first cell is a number.
func specTable(t *testing.T, section string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/protocol/hit.md")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(text), "\n"+section)
	require.True(t, found, "no section %q", section)
	body, _, _ := strings.Cut(after, "\n## ")
	var rows [][]string
	for line := range strings.SplitSeq(body, "\n") {
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if _, err := strconv.ParseUint(cells[0], 0, 16); err == nil {
			rows = append(rows, cells)
		}
	}
	require.NotEmpty(t, rows, "no table in section %q", section)
	return rows
}

func number(t *testing.T, cell string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(cell, 0, 16)
	require.NoError(t, err)
	return n
}

func TestTypesAreThoseOfTheSpecification(t *testing.T) {
	named := map[wire.Type]string{}
	for _, row := range specTable(t, "## 3. Types") {
		named[wire.Type(number(t, row[0]))] = row[1]
	}
	require.Len(t, named, 34)
	for n := range 256 {
		typ := wire.Type(n)
		name, listed := named[typ]
		require.Equal(t, listed, typ.Known(), "type %d", n)
		if !listed {
			name = "type " + strconv.Itoa(n)
		}
		require.Equal(t, name, typ.String())
	}
}

func TestStatusesAreThoseOfTheSpecification(t *testing.T) {
	rows := specTable(t, "## 5. Status and outcome")
	statuses := rows[:wire.Statuses]
	for i, row := range statuses {
		require.EqualValues(t, i, number(t, row[0]))
		require.Equal(t, row[1], wire.Status(i).String())
		status, known := wire.ParseStatus(row[1])
		require.True(t, known, row[1])
		require.Equal(t, wire.Status(i), status)
	}
	require.Equal(t, "status-38", wire.Status(wire.Statuses).String())
	_, known := wire.ParseStatus("status-35")
	require.False(t, known)
	require.Len(t, rows[wire.Statuses:], 4, "the outcomes")
}

func TestOutcomesAreThoseOfTheSpecification(t *testing.T) {
	want := map[wire.Outcome]string{
		wire.Finished:     "finished: the service ran and answered with this error",
		wire.NeverStarted: "never started",
		wire.Unknown:      "unknown: it may have run, in part or whole",
		wire.ReplyLost:    "finished, but its reply is lost",
	}
	for outcome, words := range want {
		quote(t, "| "+strconv.Itoa(int(outcome))+" | "+words+" |")
	}
	require.Equal(t, "finished", wire.Finished.String())
	require.Equal(t, "never started", wire.NeverStarted.String())
	require.Equal(t, "outcome unknown", wire.Unknown.String())
	require.Equal(t, "finished, reply lost", wire.ReplyLost.String())
	require.Equal(t, "outcome-4", wire.Outcome(4).String())
}

// TestFlagsAreThoseOfTheSpecification asks for every flag on every type and compares with the table of section 4.
func TestFlagsAreThoseOfTheSpecification(t *testing.T) {
	allowed := map[wire.Flags]string{}
	for _, row := range specTable(t, "## 4. Flags") {
		allowed[wire.Flags(number(t, row[0]))] = row[2]
	}
	require.Len(t, allowed, 7)
	for n := range 256 {
		typ := wire.Type(n)
		if !typ.Known() {
			continue
		}
		for bit := range 16 {
			flag := wire.Flags(1) << bit
			word := regexp.MustCompile(`\b` + typ.String() + `\b`)
			want := word.MatchString(allowed[flag])
			require.Equal(t, want, flagAllowed(typ, flag), "%v with flag 0x%04x", typ, uint16(flag))
		}
	}
}

// flagAllowed reports whether some number of frames makes the type with the flag a valid message. With `first` as a
// companion where that is needed: `last` alone is not possible on OPEN and BEGIN.
func flagAllowed(typ wire.Type, flag wire.Flags) bool {
	for _, flags := range []wire.Flags{flag, flag | wire.First} {
		for frames := range 4 {
			h := wire.Header{Type: typ, Flags: flags}
			if typ == wire.Part {
				h.Part = 1
			}
			if h.Check(frames) == nil {
				return true
			}
		}
	}
	return false
}

func TestFieldsLieWhereTheSpecificationSays(t *testing.T) {
	quote(t, "32 bytes, network byte order")
	h := wire.Header{
		Type: 0x01, Flags: 0x0203, Status: 0x0405, Hit: 0x060708090a0b0c0d, Epoch: 0x0e0f1011, Seq: 0x12131415,
		Part: 0x16171819, Arg: 0x1a1b1c1d,
	}
	frame := h.Bytes()
	require.Len(t, frame, wire.HeaderSize)
	next := byte(1)
	for _, row := range specTable(t, "## 2. Header") {
		offset, size := number(t, row[0]), number(t, row[1])
		field := frame[offset : offset+size]
		switch row[2] {
		case "magic":
			require.Equal(t, "TR", string(field))
		case "version":
			require.Equal(t, []byte{wire.Version}, field)
		default:
			for _, b := range field {
				require.Equal(t, next, b, row[2])
				next++
			}
		}
	}
	require.Equal(t, byte(0x1e), next, "all fields were seen")
}
