package assigner

import (
	"context"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// quietSystem is an actor system of our own. The engine's talk (its start, dead letters) goes to the logger one level lower than it asks for, and
// its throttle for dead letters is made harmless: it would keep a goroutine for a second after the last one.
func quietSystem(l *slog.Logger) *actor.ActorSystem {
	lower := slog.New(lowered{l.Handler()})
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return lower }),
		actor.WithDeadLetterThrottleInterval(time.Nanosecond))
}

// lowered makes what a library finds worth telling worth debugging.
type lowered struct{ slog.Handler }

// Enabled is slog.Handler's.
func (h lowered) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, lower(level))
}

// Handle is slog.Handler's.
func (h lowered) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lower(r.Level)
	return h.Handler.Handle(ctx, r)
}

// WithAttrs is slog.Handler's.
func (h lowered) WithAttrs(attrs []slog.Attr) slog.Handler {
	return lowered{h.Handler.WithAttrs(attrs)}
}

// WithGroup is slog.Handler's.
func (h lowered) WithGroup(name string) slog.Handler { return lowered{h.Handler.WithGroup(name)} }

func lower(l slog.Level) slog.Level {
	if l == slog.LevelInfo {
		return slog.LevelDebug
	}
	return l
}
