package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
)

// writeJSON rewrites the file with one line per figure.
func writeJSON(path string, figures []figure) error {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for _, f := range figures {
		for _, v := range []**float64{&f.Value, &f.PeerValue, &f.Ratio} {
			if *v != nil {
				*v = new(digits(**v))
			}
		}
		if err := lines.Encode(f); err != nil {
			return fmt.Errorf("figure %s: %w", f.Name, err)
		}
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// digits rounds to four digits: more would not be true.
func digits(v float64) float64 {
	short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return v // infinite
	}
	return short
}

func printTable(w io.Writer, figures []figure) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tvalue\tunit\tpeer\tpeer value\tratio\treach\t")
	for _, f := range figures {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			f.Name, show(f.Value), f.Unit, f.Peer, show(f.PeerValue), show(f.Ratio), f.reach, f.verdict)
	}
	_ = t.Flush()
	printReasons(w, figures)
}

// printReasons says why figures failed, each reason once.
func printReasons(w io.Writer, figures []figure) {
	concerned := map[string][]string{}
	var reasons []string
	for _, f := range figures {
		if f.Error == "" {
			continue
		}
		if concerned[f.Error] == nil {
			reasons = append(reasons, f.Error)
		}
		concerned[f.Error] = append(concerned[f.Error], f.Name)
	}
	for _, reason := range reasons {
		fmt.Fprintf(w, "failed: %s: %s\n", strings.Join(concerned[reason], ", "), reason)
	}
}

func show(v *float64) string {
	switch {
	case v == nil:
		return "-"
	case math.Abs(*v) >= 1000:
		return strconv.FormatFloat(*v, 'f', 0, 64)
	case math.Abs(*v) >= 100:
		return strconv.FormatFloat(*v, 'f', 1, 64)
	}
	return strconv.FormatFloat(*v, 'f', 2, 64)
}

// String shows the reach as it stands in the table.
func (r reach) String() string {
	of := ""
	if r.ratio {
		of = "ratio "
	}
	switch {
	case r.least > 0:
		return fmt.Sprintf("%s>= %g", of, r.least)
	case r.most > 0:
		return fmt.Sprintf("%s<= %g", of, r.most)
	}
	return "reported"
}
