package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// hosts are two network namespaces with a cable between them: as good as two machines, for who has only one.
type hosts struct{ here, there string }

const (
	hereAddress  = "10.213.78.1" // of broker and worker
	thereAddress = "10.213.78.2" // of the client
)

// openHosts makes the namespaces. The error says why there are none.
func openHosts() (*hosts, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces need root")
	}
	name := fmt.Sprintf("troupe-sqlite-%d-", os.Getpid())
	h := &hosts{name + "a", name + "b"}
	for _, words := range []string{
		"netns add " + h.here,
		"netns add " + h.there,
		"-n " + h.here + " link add cable type veth peer name cable netns " + h.there,
		"-n " + h.here + " addr add " + hereAddress + "/24 dev cable",
		"-n " + h.there + " addr add " + thereAddress + "/24 dev cable",
		"-n " + h.here + " link set cable up",
		"-n " + h.there + " link set cable up",
		"-n " + h.here + " link set lo up",
		"-n " + h.there + " link set lo up",
	} {
		if said, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("`ip %s`: %w: %s", words, err, strings.TrimSpace(string(said))), h.close())
		}
	}
	return h, nil
}

// close takes them down, and the cable with them.
func (h *hosts) close() error {
	var errs []error
	for _, name := range []string{h.here, h.there} {
		if _, err := os.Stat("/run/netns/" + name); err != nil {
			continue
		}
		if said, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("the network namespace %s stays: %w: %s: remove it by `ip netns del %[1]s`", name, err, strings.TrimSpace(string(said))))
		}
	}
	return errors.Join(errs...)
}

// in is the command line of a program in a namespace. It becomes that program, and keeps its process id.
func in(name string, args ...string) []string {
	return append([]string{"ip", "netns", "exec", name}, args...)
}
