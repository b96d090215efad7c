package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interrupts tells of SIGINT and SIGTERM: at the first a server drains, at the second it stops at once, and a third ends the process as if
// nobody had listened.
type interrupts struct {
	drain, stop context.Context
	ignore      func() // ends the watch and waits for it
}

func watchInterrupts(parent context.Context) *interrupts {
	got := make(chan os.Signal, 2)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	drain, drainNow := context.WithCancel(parent)
	stop, stopNow := context.WithCancel(parent)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer signal.Stop(got)
		for _, act := range []func(){drainNow, stopNow} {
			select {
			case <-got:
				act()
			case <-quit:
				return
			}
		}
	}()
	return &interrupts{drain: drain, stop: stop, ignore: func() {
		close(quit)
		<-done
		drainNow()
		stopNow()
	}}
}
