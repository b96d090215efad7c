package process

import (
	"context"
	"log/slog"
	"time"

	"github.com/troupe-mq/troupe/supervision/keeper"
)

// judged tells why the child is about to be ended.
func (k *keep) judged(f keeper.Effect) {
	k.cfg.Logger.Error("the child is ended: "+f.Why.Measured, "child", k.child.Name(), "pid", k.child.PID(), "verdict", f.Why.Verdict, "done", f.Why.Done,
		"why", string(f.Why.JSON()))
}

// report tells how the child has ended, and what follows.
func (k *keep) report(n keeper.Note) {
	attrs := []any{"child", k.cfg.Name, "exit_code", n.End.Code}
	if n.End.Signal != "" {
		attrs = append(attrs, "signal", n.End.Signal)
	}
	what := "the child has ended"
	if n.End.Failed != "" {
		what = "the child could not be started"
		attrs = append(attrs, "error", n.End.Failed)
	} else {
		attrs = append(attrs, "pid", k.pid, "ran", n.Ran.Round(time.Millisecond))
	}
	level := slog.LevelWarn
	if n.Again {
		attrs = append(attrs, "again_in", n.In.Round(time.Millisecond), "because", n.Reason, "restarts", n.Count, "max_restarts", n.Limit, "within", n.Window)
	} else {
		what += ", and is not started again"
		attrs = append(attrs, "because", n.Reason, "max_restarts", n.Limit, "within", n.Window)
		if n.End.Code == 0 {
			level = slog.LevelInfo
		}
	}
	k.cfg.Logger.Log(context.Background(), level, what, attrs...)
}
