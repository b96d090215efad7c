package main

import (
	_ "embed"
	"encoding/json"
	"net/http"

	"github.com/troupe-mq/troupe/actors/machine"
)

//go:embed page.html
var pageHTML []byte

// row is a stage as the page shows it.
type row struct {
	Stage   string  `json:"stage"`
	Used    int     `json:"used"`
	Slots   int     `json:"slots"`
	Waiting int     `json:"waiting"`
	Calls   int64   `json:"calls"`
	Failed  int64   `json:"failed"`
	MeanMS  float64 `json:"mean_ms"`
}

// page adds the page, and what it asks for, to the front.
func (h *house) page() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h.front)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'")
		_, _ = w.Write(pageHTML)
	})
	mux.HandleFunc("GET /stages", func(w http.ResponseWriter, r *http.Request) {
		report, err := h.broker.Administer(r.Context(), machine.AdminRequest{Cmd: "status"})
		status, ok := report.(machine.StatusReport)
		if err != nil || !ok {
			http.Error(w, "the broker does not say", http.StatusServiceUnavailable)
			return
		}
		rows, st := []row{}, h.front.Stats()
		for _, name := range []string{"parse", "compute", "format"} {
			x := row{Stage: name, Calls: st[name].Calls, Failed: st[name].Failed, MeanMS: float64(st[name].Mean.Microseconds()) / 1000}
			for _, s := range status.Services {
				if s.Name == name {
					x.Used, x.Slots, x.Waiting = s.Used, s.Slots, s.Waiting
				}
			}
			rows = append(rows, x)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(rows)
	})
	return mux
}
