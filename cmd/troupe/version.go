package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// version is what this program is made of.
type version struct {
	Troupe   string `json:"troupe"`
	Revision string `json:"revision,omitempty"`
	Protocol string `json:"protocol"`
	ZeroMQ   string `json:"libzmq"`
	Batched  bool   `json:"batched"` // messages move in batches; false: the per-frame fallback
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func currentVersion() version {
	v := version{
		Troupe: "unknown", Protocol: fmt.Sprintf("HIT/%d", wire.Version), ZeroMQ: zmqsock.Version(), Batched: zmqsock.CheckLayout() == nil,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Troupe = info.Main.Version
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Revision = s.Value + v.Revision
		case s.Key == "vcs.modified" && s.Value == "true":
			v.Revision += ", changed"
		}
	}
	return v
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the versions of the program, its protocol and its libraries", Args: cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			v := currentVersion()
			if a.json() {
				return a.printJSON(v)
			}
			moves := "in batches"
			if !v.Batched {
				moves = "frame by frame: the binding has changed, and this is slower"
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
			fmt.Fprintf(w, "troupe\t%s\n", v.Troupe)
			if v.Revision != "" {
				fmt.Fprintf(w, "revision\t%s\n", v.Revision)
			}
			fmt.Fprintf(w, "protocol\t%s\nlibzmq\t%s, messages move %s\ngo\t%s %s\n", v.Protocol, v.ZeroMQ, moves, v.Go, v.Platform)
			return w.Flush()
		},
	}
}
