package main

import (
	"context"
	"log/slog"
)

// warnings shows a person the library's warnings.
type warnings struct{ a *app }

// Enabled implements slog.Handler.
func (w warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (w warnings) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(attr slog.Attr) bool {
		text += "; " + attr.Key + ": " + attr.Value.String()
		return true
	})
	w.a.warn(w.a.forStore(text))
	return nil
}

// WithAttrs implements slog.Handler. The library adds none.
func (w warnings) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup implements slog.Handler. The library makes none.
func (w warnings) WithGroup(string) slog.Handler { return w }
