package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// Hosts are network namespaces on one switch, each with an address of its own: as good as machines, for what goes over the network.
type Hosts struct {
	t        testing.TB
	timeline *Timeline
	prefix   string // of the names of namespaces and links
	net      string // the first three octets
	count    int
}

// Host is one of them. Its address is known once it was added.
type Host struct {
	Name, Address string
	all           *Hosts
	namespace     string
}

var hostsMade atomic.Int64

// ErrNoHosts is the cause of an error where this user or machine can have no network namespaces. Links need no rights.
var ErrNoHosts = errors.New("no network namespaces can be made here")

// NewHosts makes the switch, which needs root and ip(8). They are removed when the test ends.
func NewHosts(t testing.TB) (*Hosts, error) {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("harness: %w: they need root; use Link in their place", ErrNoHosts)
	}
	n := hostsMade.Add(1)
	h := &Hosts{t: t, timeline: TimelineOf(t), prefix: fmt.Sprintf("th%d.%d", os.Getpid(), n), net: fmt.Sprintf("10.213.%d", 100+n%100)}
	if err := ip("netns", "add", h.name("sw")); err != nil {
		return nil, fmt.Errorf("harness: %w: %w; use Link in their place", ErrNoHosts, err)
	}
	t.Cleanup(func() { _ = ip("netns", "del", h.name("sw")) })
	for _, args := range [][]string{
		{"-n", h.name("sw"), "link", "add", "switch", "type", "bridge"}, {"-n", h.name("sw"), "link", "set", "switch", "up"},
	} {
		if err := ip(args...); err != nil {
			return nil, fmt.Errorf("harness: %w: %w; use Link in their place", ErrNoHosts, err)
		}
	}
	return h, nil
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (h *Hosts) name(of string) string { return h.prefix + "-" + of }

// Add makes a host, whose cable is plugged in.
func (h *Hosts) Add(name string) *Host {
	h.t.Helper()
	h.count++
	one := &Host{Name: name, Address: fmt.Sprintf("%s.%d", h.net, h.count), all: h, namespace: h.name(fmt.Sprint(h.count))}
	h.must("netns", "add", one.namespace)
	h.t.Cleanup(func() { _ = ip("netns", "del", one.namespace) })
	port := fmt.Sprint("port", h.count)
	h.must("-n", one.namespace, "link", "add", "cable", "type", "veth", "peer", "name", port, "netns", h.name("sw"))
	h.must("-n", h.name("sw"), "link", "set", port, "master", "switch", "up")
	h.must("-n", one.namespace, "addr", "add", one.Address+"/24", "dev", "cable")
	h.must("-n", one.namespace, "link", "set", "lo", "up")
	h.must("-n", one.namespace, "link", "set", "cable", "up")
	return one
}

func (h *Hosts) must(args ...string) {
	h.t.Helper()
	if err := ip(args...); err != nil {
		h.t.Fatal(err)
	}
}

// Command makes a command run on the host.
func (h *Host) Command(cmd *exec.Cmd) *exec.Cmd {
	on := exec.Command("ip", append([]string{"netns", "exec", h.namespace, cmd.Path}, cmd.Args[1:]...)...)
	on.Env, on.Dir = cmd.Env, cmd.Dir
	return on
}

// Unplug pulls the host's cable: nobody is told. Plug puts it back.
func (h *Host) Unplug() {
	h.all.t.Helper()
	h.all.timeline.Note(Fault, h.Name, "its cable is unplugged")
	h.all.must("-n", h.namespace, "link", "set", "cable", "down")
}

// Plug ends Unplug.
func (h *Host) Plug() {
	h.all.t.Helper()
	h.all.timeline.Note(Mended, h.Name, "its cable is plugged in")
	h.all.must("-n", h.namespace, "link", "set", "cable", "up")
}
