package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
)

// Variables with the folder of a broker's keys, and with a peer's key.
const (
	keysEnv = "TROUPE_KEYS"
	keyEnv  = "TROUPE_KEY"
)

// keysFlags are what the commands about keys share.
type keysFlags struct{ dir string }

func (f *keysFlags) folder() keys.Dir {
	if f.dir != "" {
		return keys.Dir{Path: f.dir}
	}
	base, err := os.UserConfigDir()
	if err != nil {
		base = "."
	}
	return keys.Dir{Path: filepath.Join(base, "troupe", "keys")}
}

func (a *app) keysCommand() *cobra.Command {
	f := &keysFlags{}
	cmd := &cobra.Command{
		Use: "keys", Short: "Keep the keys of a broker, and say who may come in", Args: cobra.NoArgs, RunE: needsCommand,
		Long: `Keep the keys of a broker in a folder, which ` + "`troupe broker --keys`" + ` uses: its own key pair, and the list of peers that may come in.

Each peer gets one string, by --key, TROUPE_KEY or a file that only it can read. A running broker notices changes within a second (or at SIGHUP), and
disconnects whom the list does not have any more.`,
		Example: `  troupe keys init
  troupe keys add ingest --client upper,echo
  troupe keys add w1 --worker '*' > w1.key
  troupe keys revoke ingest`,
	}
	cmd.PersistentFlags().StringVar(&f.dir, "keys", "", "folder of the keys (default $"+keysEnv+", or troupe/keys in the user's configuration folder)")
	cmd.AddCommand(a.keysInitCommand(f), a.keysAddCommand(f), a.keysListCommand(f), a.keysRevokeCommand(f), a.keysShowCommand(f), a.keysMakeCommand())
	return cmd
}

func (a *app) keysInitCommand(f *keysFlags) *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Make the broker's key pair and an empty list", Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			d, public, err := keys.Init(f.folder().Path)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(map[string]any{"folder": d.Path, "public": public, "fingerprint": access.Fingerprint(public)})
			}
			fmt.Fprintf(a.out, "folder       %s\npublic key   %s\nfingerprint  %s\n", d.Path, public, access.Fingerprint(public))
			fmt.Fprintf(a.err, "next: troupe keys add NAME --client SERVICE --keys %s\nthen: troupe broker --keys %s\n", d.Path, d.Path)
			return nil
		},
	}
}

// addFlags say what a peer is given.
type addFlags struct {
	client, worker []string
	admin, extend  bool
	public         string
}

func (f *addFlags) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.client, "client", nil, "services that the peer may open hits of, between commas; '*' for all")
	flags.StringSliceVar(&f.worker, "worker", nil, "services that the peer may serve; '*' for all")
	flags.BoolVar(&f.admin, "admin", false, "the peer may list, and end hits")
	flags.BoolVar(&f.extend, "extend", false, "give NAME, who has a key already, these rights in addition")
	flags.StringVar(&f.public, "public", "", "public key (Z85) of a pair that was made elsewhere, by `troupe keys make`")
}

func (f *addFlags) rights() (access.Rights, error) {
	r := access.Rights{Admin: f.admin}
	for _, kind := range []struct {
		flag string
		list []string
		into *access.Services
	}{{"--client", f.client, &r.Client}, {"--worker", f.worker, &r.Worker}} {
		for _, one := range kind.list {
			s, err := access.ParseServices(one)
			if err != nil {
				return r, fmt.Errorf("%s: %w", kind.flag, err)
			}
			*kind.into = append(*kind.into, s...)
		}
	}
	if r.Empty() {
		return r, errors.New("a peer without a right could do nothing: give it --client SERVICE, --worker SERVICE or --admin")
	}
	return r.With(access.Rights{}), nil
}

func (a *app) keysAddCommand(f *keysFlags) *cobra.Command {
	what := &addFlags{}
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Let a peer in, and print its key: one string to hand over", Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: `Let a peer in. Its key is printed once and stored nowhere: one string, troupe1-..., which holds the broker's public key and the peer's secret one.
Whoever has it is the peer. With --public nothing secret is made here, and the broker's public key is printed.`,
		RunE: func(_ *cobra.Command, args []string) error {
			rights, err := what.rights()
			if err == nil {
				err = access.CheckName(args[0])
			}
			if err != nil {
				return usage(err)
			}
			if what.extend {
				return a.keysExtend(f.folder(), args[0], rights)
			}
			return a.keysAdd(f.folder(), args[0], what.public, rights)
		},
	}
	what.add(cmd.Flags())
	return cmd
}

func (a *app) keysAdd(d keys.Dir, name, public string, rights access.Rights) error {
	broker, err := d.Public()
	if err != nil {
		return err
	}
	e := access.Entry{Name: name, Rights: rights}
	handed := ""
	if public != "" {
		if e.Key, err = access.ParseKey(public); err != nil {
			return usage(fmt.Errorf("--public: %w", err))
		}
	} else {
		var h access.Handed
		if h, e.Key, err = keys.Make(broker); err != nil {
			return err
		}
		handed = h.String()
	}
	err = d.Update(func(b *access.Book) (*access.Book, error) {
		if old := b.Named(name); old != nil {
			return nil, fmt.Errorf("%s has key %s already, and may %s: add --extend for these rights in addition, or give it a new key after `troupe keys revoke %s`",
				name, old.Key.Fingerprint(), old.Rights, name)
		}
		return b.With(e)
	})
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(keyRowOf(&e, handed, broker.String()))
	}
	fmt.Fprintf(a.err, "%s, key %s, may %s\n", name, e.Key.Fingerprint(), rights)
	if handed == "" {
		fmt.Fprintln(a.out, broker)
		fmt.Fprintln(a.err, "this is the broker's public key, which the peer needs")
		return nil
	}
	fmt.Fprintln(a.out, handed)
	fmt.Fprintln(a.err, "this is its key, shown once: give it by --key or TROUPE_KEY, or in a file with mode 0600")
	return nil
}

func (a *app) keysExtend(d keys.Dir, name string, rights access.Rights) error {
	var e access.Entry
	err := d.Update(func(b *access.Book) (*access.Book, error) {
		old := b.Named(name)
		if old == nil {
			return nil, noSuchKey(name)
		}
		e = *old
		e.Rights = old.With(rights)
		return b.With(e)
	})
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(keyRowOf(&e, "", ""))
	}
	fmt.Fprintf(a.out, "%s, key %s, may %s\n", name, e.Key.Fingerprint(), e.Rights)
	return nil
}

func noSuchKey(name string) error {
	return fmt.Errorf("no key is named %q: `troupe keys list` shows them", name)
}
