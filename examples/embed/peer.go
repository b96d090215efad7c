package main

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// python is Debian's own, which python3-zmq belongs to.
const python = "/usr/bin/python3"

//go:embed peer.py
var peerScript string

// peerCommand returns how to start the peer: in Python, or in Go where there is no pyzmq.
func peerCommand(out io.Writer) []string {
	err := exec.Command(python, "-c", "import zmq").Run()
	if err == nil {
		return []string{python, "-c", peerScript}
	}
	fmt.Fprintf(out, "%s has no pyzmq (%v; on Debian: apt-get install python3-zmq): the peer is a Go process instead\n", python, err)
	return goPeer()
}

func goPeer() []string {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return []string{self, "peer"}
}

// peer is peer.py in Go, until it is killed.
func peer(addr string) {
	ctx, err := zmqsock.NewContext()
	try(err)
	sock, err := ctx.Open(zmqsock.Config{Kind: zmqsock.Dealer, Identity: "calculator"})
	try(err)
	try(sock.Connect(addr))
	in, err := zmqsock.NewIn(16)
	try(err)
	wake, err := zmqsock.NewWake()
	try(err)
	poller, out := zmqsock.NewPoller(wake), zmqsock.NewOut()
	try(poller.Set([]*zmqsock.Socket{sock}))
	send := func(frames ...string) {
		out.Add(sock, nil, false)
		for _, f := range frames {
			out.Append([]byte(f))
		}
		out.Send()
		out.Reset()
	}
	send("prompter", "what?")
	send("prompter", "hello")
	for {
		n, err := in.Recv(sock, 16, 0)
		try(err)
		for i := range n {
			frames := in.Frames(i, nil)
			if len(frames[0]) == 0 {
				fmt.Println("the peer hears:", string(frames[1]))
				continue
			}
			a, _ := strconv.Atoi(string(frames[1]))
			b, _ := strconv.Atoi(string(frames[2]))
			send(string(frames[0]), strconv.Itoa(a*b))
		}
		in.Clear(false)
		try(poller.Wait(time.Second))
	}
}

func try(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}
