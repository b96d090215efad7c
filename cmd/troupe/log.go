package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
)

// newLogger writes to w. The level is one of the flag's.
func newLogger(w io.Writer, level, format string) *slog.Logger {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		panic("log level " + level + ": " + err.Error()) // the flag lets only names of levels through
	}
	options := &slog.HandlerOptions{Level: least}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(stacked{slog.NewTextHandler(w, options), w})
}

// stacked is a handler that prints the stack of a crash below its line, where a person can read it.
type stacked struct {
	slog.Handler
	to io.Writer
}

// Handle writes the record.
func (s stacked) Handle(ctx context.Context, r slog.Record) error {
	stack := ""
	line := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "stack" {
			stack = "\t" + strings.ReplaceAll(strings.TrimSpace(a.Value.String()), "\n", "\n\t") + "\n"
		} else {
			line.AddAttrs(a)
		}
		return true
	})
	err := s.Handler.Handle(ctx, line)
	if stack != "" {
		_, said := io.WriteString(s.to, stack)
		err = errors.Join(err, said)
	}
	return err
}

// WithAttrs keeps what stacked does.
func (s stacked) WithAttrs(attrs []slog.Attr) slog.Handler {
	return stacked{s.Handler.WithAttrs(attrs), s.to}
}

// WithGroup keeps what stacked does.
func (s stacked) WithGroup(name string) slog.Handler { return stacked{s.Handler.WithGroup(name), s.to} }

// newSystem is an actor system whose engine says at debug what it would say at info: that it started, and every dead letter.
func newSystem(l *slog.Logger) *actor.ActorSystem {
	quiet := slog.New(demoted{l.Handler()})
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
}

// demoted is a handler that takes everything below warn for debug.
type demoted struct{ slog.Handler }

func demote(l slog.Level) slog.Level {
	if l < slog.LevelWarn {
		return min(l, slog.LevelDebug)
	}
	return l
}

// Enabled reports whether a record of this level is written once it is demoted.
func (d demoted) Enabled(ctx context.Context, l slog.Level) bool {
	return d.Handler.Enabled(ctx, demote(l))
}

// Handle writes the record.
func (d demoted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = demote(r.Level)
	return d.Handler.Handle(ctx, r)
}

// WithAttrs keeps the demotion.
func (d demoted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return demoted{d.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the demotion.
func (d demoted) WithGroup(name string) slog.Handler { return demoted{d.Handler.WithGroup(name)} }
