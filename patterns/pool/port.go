package pool

import (
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/troupe-mq/troupe/patterns/pool/machine"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
	"github.com/troupe-mq/troupe/supervision/why"
)

// The methods of this file are the loop as a machine.Port.

// Scan looks into the run directory.
func (l *loop) Scan() {
	seen := l.m.dir.seen()
	l.soon(func() []machine.Effect { return l.node.Scanned(l.now(), seen) })
}

// Claim makes a term's file.
func (l *loop) Claim(term uint64) {
	f, err := l.m.dir.claim(term, l.m.me)
	if err != nil {
		l.m.cfg.Logger.Error("a term cannot be claimed", "term", term, "error", err)
		l.after(l.m.cfg.Silence/10, func() { l.apply(l.node.Claimed(l.now(), term, false, nil)) })
		return
	}
	var living []wire.Record
	if f != nil {
		l.throne = f
		living = l.m.dir.living()
	}
	l.soon(func() []machine.Effect { return l.node.Claimed(l.now(), term, f != nil, living) })
}

// Resign gives up a term's lock, and what a master has.
func (l *loop) Resign(uint64) {
	l.unlead()
	l.abdicate()
}

func (l *loop) abdicate() {
	if l.throne != nil {
		_ = l.throne.Close()
		l.throne = nil
	}
}

// Follow connects to a master, and watches its process.
func (l *loop) Follow(term uint64, master wire.Record) {
	l.m.cfg.Logger.Debug("follows", "pool", l.m.cfg.Pool, "term", term, "master", master.Name, "pid", master.PID)
	l.unfollow()
	if w := l.side[master.ID]; w != nil {
		l.retire(w.sock)
		delete(l.side, master.ID)
	}
	s, err := l.dial("ipc://" + l.m.dir.socket(master.ID))
	if err != nil {
		l.m.cfg.Logger.Error("no way to the master", "error", err)
		return
	}
	l.up, l.dirty = &way{to: master.ID, sock: s}, true
	h, err := openHandle(master)
	if err != nil {
		if errors.Is(err, errOther) {
			l.m.do(func() { l.apply(l.node.Ended(l.now(), master.ID)) })
		}
		return // by its silence, and its lock
	}
	l.masterPID = h
	go l.m.await(h, 0, master.ID)
}

func (l *loop) unfollow() {
	if l.up != nil {
		l.retire(l.up.sock)
		l.up = nil
	}
	if l.masterPID != nil {
		l.masterPID.close()
		l.masterPID = nil
	}
}

// lastWords is how long what a process has sent may take until it is read, after its end.
const lastWords = 5 * time.Millisecond

// await waits for the end of a process, or of its handle.
func (m *Member) await(h *handle, grace time.Duration, id wire.MemberID) {
	if h.wait() {
		m.do(func() { m.loop.after(grace, func() { m.loop.apply(m.loop.node.Ended(m.loop.now(), id)) }) })
	}
}

// Watch waits for the end of a member's process.
func (l *loop) Watch(r wire.Record) {
	if l.waits[r.ID] != nil {
		return
	}
	h, err := openHandle(r)
	switch {
	case errors.Is(err, errOther):
		l.m.do(func() { l.apply(l.node.Ended(l.now(), r.ID)) })
	case err != nil:
		l.watchLock(r)
	default:
		l.waits[r.ID] = h
		go l.m.await(h, lastWords, r.ID)
	}
}

// watchLock looks at the lock of a member whose process cannot be seen, again and again.
func (l *loop) watchLock(r wire.Record) {
	l.after(l.m.cfg.Silence/10, func() {
		var now wire.Record
		if held, err := l.m.dir.read(l.m.dir.member(r.ID), &now); !held || err != nil {
			l.apply(l.node.Ended(l.now(), r.ID))
		} else if l.throne != nil {
			l.watchLock(r)
		}
	})
}

// Unwatch ends a Watch.
func (l *loop) Unwatch(id wire.MemberID) {
	if h := l.waits[id]; h != nil {
		h.close()
		delete(l.waits, id)
	}
}

// Look takes a sample of the master's process.
func (l *loop) Look(term uint64, master wire.Record) {
	s := sample(l.now(), l.m.dir, term, master)
	var living []wire.MemberID
	for _, r := range l.m.dir.living() {
		living = append(living, r.ID)
	}
	l.soon(func() []machine.Effect { return l.node.Looked(l.now(), term, s, living) })
}

// Kill kills the master's process: by its handle, and only if the handle's process is the one that holds the term.
func (l *loop) Kill(term uint64, master wire.Record) {
	failure := ""
	s := sample(l.now(), l.m.dir, term, master)
	switch {
	case master.PID == os.Getpid():
		failure = "it is this process"
	case !s.Alive || !s.Held || s.Foreign || l.masterPID == nil:
		failure = "it is not that process any more, or holds the term no more"
	default:
		if err := l.masterPID.kill(); err != nil {
			failure = err.Error()
		}
	}
	if failure != "" {
		l.m.cfg.Logger.Error("the hung master was not killed", "master", master.Name, "pid", master.PID, "why", failure)
	}
	l.soon(func() []machine.Effect { return l.node.Killed(l.now(), term, failure) })
}

// Changed is told of a new role or view.
func (l *loop) Changed() {}

// Tell logs a verdict.
func (l *loop) Tell(r why.Record) {
	level := slog.LevelWarn
	if r.Verdict == "HEALTHY" {
		level = slog.LevelInfo
	}
	l.m.cfg.Logger.Log(l.m.life, level, "verdict", "pool", l.m.cfg.Pool, "verdict", r.Verdict, "of", r.Worker, "measured", r.Measured, "done", r.Done)
}
