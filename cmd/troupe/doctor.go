package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/cmd/troupe/internal/doctor"
	"github.com/troupe-mq/troupe/patterns/assigner"
)

func (a *app) doctorCommand() *cobra.Command {
	t := &target{one: true}
	var each time.Duration
	cmd := &cobra.Command{
		Use: "doctor", Short: "Find out how far a peer comes with a broker, and explain what fails",
		Long: `Go the way that a peer goes, step by step: its key, the endpoint, the connection, the greeting of ZeroMQ, the handshake, the registration, its rights.
The first step that fails is explained, with the next command to give. The endpoint may be the one for clients or the one for workers.

Exit codes: 0 all is well, 1 the broker turns the peer away, 2 the key or the endpoint cannot be used, 3 the broker is not reached.`,
		Example: `  troupe doctor
  troupe doctor --broker tcp://broker.example:5700 --key me.key`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if each <= 0 {
				return usage(fmt.Errorf("--timeout is %v: it must be longer than nothing, as in 3s", each))
			}
			brokers, err := t.several()
			if err != nil {
				return usage(err)
			}
			found := doctor.Examine(cmd.Context(), doctor.Case{Broker: brokers[0].URL, Key: t.key, Timeout: each})
			return a.diagnose(found)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&t.brokers, "broker", []string{assigner.DefaultClients}, "the broker's endpoint, for clients or workers (or $"+clientsEnv+")")
	flags.StringVar(&t.key, "key", "", keyUsage)
	flags.DurationVar(&each, "timeout", 3*time.Second, "how long each step may take")
	return cmd
}

// diagnose prints what was found, and returns what has failed.
func (a *app) diagnose(found []doctor.Finding) error {
	last := found[len(found)-1]
	code := exitFailed
	switch last.Step {
	case "key", "endpoint":
		code = exitUsage
	case "connect":
		code = exitUnreachable
	}
	if a.json() {
		if err := a.printJSON(map[string]any{"ok": last.OK, "steps": found}); err != nil || last.OK {
			return err
		}
		return &coded{code: code, err: fmt.Errorf("%s: %s", last.Step, last.What), next: last.Next}
	}
	rows := make([][]string, len(found))
	for i, f := range found {
		result := "ok"
		if !f.OK {
			result = "FAILED"
		}
		rows[i] = []string{f.Step, result, f.What}
	}
	if err := a.table("STEP RESULT FOUND", rows); err != nil {
		return err
	}
	if last.OK {
		return nil
	}
	return &coded{code: code, err: errors.New(last.Why), next: last.Next}
}
