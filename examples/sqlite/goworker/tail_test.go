package main

import "testing"

func TestEmptyTexts(t *testing.T) {
	for text, want := range map[string]bool{"": true, " ;; ": true, "-- SELECT 1": true, "/**/;--": true, "SELECT 1": false, ";x": false, "--\n1": false} {
		if got := empty(text); got != want {
			t.Errorf("%q: got %t", text, got)
		}
	}
}

func TestWhatStandsBehindTheFirstStatement(t *testing.T) {
	for text, want := range map[string]string{
		"":                                        "",
		"SELECT 1":                                "",
		"SELECT 1;":                               "",
		"SELECT 1 ; \n\t ":                        "",
		"SELECT 1; -- and no more":                "",
		"SELECT 1; /* and; no; more */ ;":         "",
		"SELECT 1; /* never closed":               "",
		"SELECT 1; SELECT 2":                      "SELECT 2",
		"SELECT 1;SELECT 2; SELECT 3":             "SELECT 2; SELECT 3",
		"; ; SELECT 1":                            "SELECT 1",
		"-- SELECT 1;\nSELECT 2":                  "",
		"SELECT ';', \"a;b\", [c;d], `e;f`":       "",
		"SELECT 'it''s; fine'; DROP TABLE x":      "DROP TABLE x",
		"SELECT 'never closed; DROP TABLE x":      "",
		"SELECT 1 - 2 / 3; DROP TABLE x -- gone":  "DROP TABLE x -- gone",
		"CREATE TRIGGER t BEGIN SELECT 1; END;":   "",
		"create temp trigger t BEGIN SELECT 1; E": "",
		"CREATE TABLE trigger (a); SELECT 1":      "SELECT 1",
	} {
		if got := behindFirst(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
