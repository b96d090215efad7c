// Package netns makes network namespaces, which are as good as several machines for who has only one. It needs root, and the command ip.
package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Do runs commands of ip, in order, until one fails.
func Do(commands ...string) error {
	for _, words := range commands {
		if said, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput(); err != nil {
			return fmt.Errorf("`ip %s`: %w: %s", words, err, strings.TrimSpace(string(said)))
		}
	}
	return nil
}

// Delete takes down those of the namespaces that are there, and their cables with them.
func Delete(names ...string) error {
	var errs []error
	for _, name := range names {
		if _, err := os.Stat("/run/netns/" + name); name == "" || err != nil {
			continue
		}
		if err := Do("netns del " + name); err != nil {
			errs = append(errs, fmt.Errorf("the network namespace %s stays: %w: remove it by `ip netns del %[1]s`", name, err))
		}
	}
	return errors.Join(errs...)
}

// In is the command line of a program in a namespace; empty: in this one. It becomes that program, and keeps its process id.
func In(name string, args ...string) []string {
	if name == "" {
		return args
	}
	return append([]string{"ip", "netns", "exec", name}, args...)
}
