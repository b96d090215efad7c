package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/troupe-mq/troupe/examples/internal/netns"
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
	err := netns.Do(
		"netns add "+h.here,
		"netns add "+h.there,
		"-n "+h.here+" link add cable type veth peer name cable netns "+h.there,
		"-n "+h.here+" addr add "+hereAddress+"/24 dev cable",
		"-n "+h.there+" addr add "+thereAddress+"/24 dev cable",
		"-n "+h.here+" link set cable up",
		"-n "+h.there+" link set cable up",
		"-n "+h.here+" link set lo up",
		"-n "+h.there+" link set lo up",
	)
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// close takes them down, and the cable with them.
func (h *hosts) close() error { return netns.Delete(h.here, h.there) }
