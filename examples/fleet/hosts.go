package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/troupe-mq/troupe/examples/internal/netns"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
)

// host is where members live: a run directory, an address and, where there is one, a network namespace.
type host struct {
	directory, listen, namespace string
}

// site is the hosts, and what has to be taken down.
type site struct {
	hosts [hosts]host
	keys  string
	temp  string
}

// open makes the hosts. With namespaces what goes between them is encrypted, since their addresses are no loopback ones.
func (o options) open() (s *site, err error) {
	s = &site{}
	if s.temp, err = os.MkdirTemp("", "fleet"); err != nil {
		return nil, err
	}
	for i := range s.hosts {
		s.hosts[i].directory = filepath.Join(s.temp, string('a'+rune(i)))
		if err := os.Mkdir(s.hosts[i].directory, 0o700); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	if os.Geteuid() == 0 && !o.loopback {
		err = s.separate()
	} else {
		err = s.share()
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// share gives the hosts ports of the loopback interface.
func (s *site) share() error {
	for i := range s.hosts {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.hosts[i].listen = l.Addr().String()
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// separate gives each host a network namespace, and joins them in that of the first one.
func (s *site) separate() error {
	var err error
	if _, _, err = keys.Init(filepath.Join(s.temp, "keys")); err != nil {
		return err
	}
	s.keys = filepath.Join(s.temp, "keys")
	for i := range s.hosts {
		s.hosts[i].namespace = fmt.Sprintf("troupe-fleet-%d-%c", os.Getpid(), 'a'+rune(i))
		s.hosts[i].listen = fmt.Sprintf("10.213.79.%d:5790", i+1)
	}
	hub := s.hosts[0].namespace
	words := []string{"netns add " + hub, "-n " + hub + " link add hub type bridge", "-n " + hub + " addr add 10.213.79.1/24 dev hub", "-n " + hub + " link set hub up", "-n " + hub + " link set lo up"}
	for i := 1; i < hosts; i++ {
		there, cable := s.hosts[i].namespace, fmt.Sprint("cable", i)
		words = append(words, "netns add "+there, "-n "+hub+" link add "+cable+" type veth peer name cable netns "+there, "-n "+hub+" link set "+cable+" master hub",
			"-n "+hub+" link set "+cable+" up", fmt.Sprintf("-n %s addr add 10.213.79.%d/24 dev cable", there, i+1), "-n "+there+" link set cable up", "-n "+there+" link set lo up")
	}
	if err := netns.Do(words...); err != nil {
		return fmt.Errorf("%w: -loopback does without namespaces", err)
	}
	return nil
}

// close takes all down.
func (s *site) close() error {
	return errors.Join(netns.Delete(s.hosts[0].namespace, s.hosts[1].namespace, s.hosts[2].namespace), os.RemoveAll(s.temp))
}
