package main

import (
	"fmt"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// progress prints what calls report, on a goroutine of its own: reports come on the client's loop, which must not wait. Those that come
// faster than they are printed are left out. A nil progress prints nothing.
type progress struct {
	reports chan report
	done    chan struct{}
}

// report is a report, or a question whether all before it are printed.
type report struct {
	assigner.Progress
	flushed chan struct{}
}

func (a *app) showProgress(wanted bool) *progress {
	if !wanted {
		return nil
	}
	p := &progress{reports: make(chan report, 64), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for r := range p.reports {
			if r.flushed != nil {
				close(r.flushed)
				continue
			}
			fmt.Fprintf(a.err, "progress %3.0f%% %s\n", r.Done*100, cell(r.Note))
		}
	}()
	return p
}

// report returns what a call reports to.
func (p *progress) report() func(assigner.Progress) {
	if p == nil {
		return nil
	}
	return func(r assigner.Progress) {
		select {
		case p.reports <- report{Progress: r}:
		default:
		}
	}
}

// flush returns when all reports so far are printed.
func (p *progress) flush() {
	if p == nil {
		return
	}
	flushed := make(chan struct{})
	p.reports <- report{flushed: flushed}
	<-flushed
}

// stop ends the printing. Nothing may be reported any more: the client is closed.
func (p *progress) stop() {
	if p == nil {
		return
	}
	close(p.reports)
	<-p.done
}
