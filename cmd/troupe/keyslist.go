package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/patterns/assigner"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
)

// keyRow is one key as -o json prints it.
type keyRow struct {
	Name        string   `json:"name"`
	Fingerprint string   `json:"fingerprint"`
	Public      string   `json:"public"`
	Client      []string `json:"client,omitempty"`
	Worker      []string `json:"worker,omitempty"`
	Admin       bool     `json:"admin"`
	Key         string   `json:"key,omitempty"`    // the one string, when it was just made
	Broker      string   `json:"broker,omitempty"` // the broker's public key
}

func keyRowOf(e *access.Entry, handed, broker string) keyRow {
	return keyRow{e.Name, e.Key.Fingerprint(), e.Key.String(), e.Client, e.Worker, e.Admin, handed, broker}
}

func (a *app) keysListCommand(f *keysFlags) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the peers that may come in", Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			book, err := f.folder().Book()
			if err != nil {
				return err
			}
			if a.json() {
				rows := []keyRow{}
				for _, e := range book.Entries() {
					rows = append(rows, keyRowOf(e, "", ""))
				}
				return a.printJSON(map[string]any{"keys": rows})
			}
			var rows [][]string
			for _, e := range book.Entries() {
				admin := ""
				if e.Admin {
					admin = "yes"
				}
				rows = append(rows, []string{e.Name, e.Key.Fingerprint(), e.Client.String(), e.Worker.String(), admin})
			}
			return a.table("NAME FINGERPRINT CLIENT WORKER ADMIN", rows)
		},
	}
}

func (a *app) keysRevokeCommand(f *keysFlags) *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME...", Short: "Take peers off the list; a running broker disconnects them", Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: f.completeNames,
		RunE: func(_ *cobra.Command, names []string) error {
			err := f.folder().Update(func(b *access.Book) (*access.Book, error) {
				for _, name := range names {
					if b.Named(name) == nil {
						return nil, fmt.Errorf("%w; nothing was changed", noSuchKey(name))
					}
					b = b.Without(name)
				}
				return b, nil
			})
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(map[string]any{"revoked": names})
			}
			for _, name := range names {
				fmt.Fprintf(a.out, "revoked %s\n", name)
			}
			return nil
		},
	}
}

func (f *keysFlags) completeNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	book, _ := f.folder().Book() // nothing is completed without
	var names []string
	for _, e := range book.Entries() {
		names = append(names, e.Name+"\t"+e.Rights.String())
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) keysShowCommand(f *keysFlags) *cobra.Command {
	return &cobra.Command{
		Use: "show [NAME]", Short: "Show the broker's public key, or a peer's", Args: cobra.MaximumNArgs(1), ValidArgsFunction: f.completeNames,
		RunE: func(_ *cobra.Command, names []string) error {
			d := f.folder()
			e := &access.Entry{Name: "broker"}
			var err error
			if len(names) == 0 {
				if e.Key, err = d.Public(); err != nil {
					return err
				}
			} else {
				book, err := d.Book()
				if err != nil {
					return err
				}
				if e = book.Named(names[0]); e == nil {
					return noSuchKey(names[0])
				}
			}
			if a.json() {
				return a.printJSON(keyRowOf(e, "", ""))
			}
			fmt.Fprintf(a.out, "name         %s\npublic key   %s\nfingerprint  %s\n", e.Name, e.Key, e.Key.Fingerprint())
			if len(names) > 0 {
				fmt.Fprintf(a.out, "may          %s\n", e.Rights)
			}
			return nil
		},
	}
}

func (a *app) keysMakeCommand() *cobra.Command {
	var broker string
	cmd := &cobra.Command{
		Use: "make --broker KEY", Short: "Make a peer's key where the peer is, so that its secret never travels", Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		Long: `Make a key for a peer on the peer's own machine. Its one string is printed on standard output, to be kept in a file with mode 0600; the public key
is printed on standard error, for ` + "`troupe keys add NAME --public KEY`" + ` at the broker.`,
		Example: "  (umask 077; troupe keys make --broker 'PUBLIC KEY OF THE BROKER' > me.key)",
		RunE: func(*cobra.Command, []string) error {
			k, err := access.ParseKey(broker)
			if err != nil {
				return usage(fmt.Errorf("--broker: %w: `troupe keys show` prints it", err))
			}
			h, public, err := keys.Make(k)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(map[string]any{"key": h.String(), "public": public.String(), "fingerprint": public.Fingerprint()})
			}
			fmt.Fprintln(a.out, h)
			fmt.Fprintf(a.err, "next: troupe keys add NAME --public '%s' --client SERVICE (at the broker)\n", public)
			return nil
		},
	}
	cmd.Flags().StringVar(&broker, "broker", "", "the broker's public key, as `troupe keys show` prints it")
	return cmd
}

// reloadKeys lets a broker read its list at SIGHUP, until the returned function is called.
func (a *app) reloadKeys(ctx context.Context, b *assigner.Broker) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-hangups:
				_ = b.ReloadKeys() // logged by the broker
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		cancel()
		<-done
	}
}
