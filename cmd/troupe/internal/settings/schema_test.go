package settings_test

import (
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/cmd/troupe/internal/settings"
)

// flags are those of a broker, in small.
func flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.Duration("max-wait", 30*time.Second, "how long an open may wait")
	f.Int("max-queue", 1000, "how many may wait")
	f.Bool("insecure", false, "allow other machines")
	f.StringSlice("client", []string{"tcp://127.0.0.1:5700"}, "endpoints for clients")
	f.Float64("share", 0.5, "a share")
	f.String("key", "", "a secret")
	f.String("name", "", "a name")
	return f
}

// schema has a section for brokers, one for hits, and a key for all.
func schema(testing.TB) *settings.Schema {
	s := &settings.Schema{}
	common := pflag.NewFlagSet("", pflag.ContinueOnError)
	common.String("log-level", "info", "how much is logged")
	common.VisitAll(func(f *pflag.Flag) { s.Add(settings.Common, f) })
	flags().VisitAll(func(f *pflag.Flag) { s.Add("broker", f) })
	hit := pflag.NewFlagSet("", pflag.ContinueOnError)
	hit.Duration("timeout", time.Second, "how long to wait")
	hit.Int("max-wait", 1, "another type than the broker's")
	hit.VisitAll(func(f *pflag.Flag) { s.Add("hit", f) })
	return s
}

// mine says that all flags belong to the broker.
func mine(*pflag.Flag) []string { return []string{"broker"} }
