// Package logging makes the loggers of control plane and agents, and holds the list of keys that log lines may have.
// Only the commands import it; everything else is given a *slog.Logger.
package logging

import (
	"context"
	"io"
	"log/slog"

	"colonnade/internal/lb"
)

// New makes a logger that writes lines of text or, with format "json", of JSON. Whatever is logged with the context of
// work that an API request asked for carries the request's id.
func New(w io.Writer, level slog.Level, format string) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(requestHandler{slog.NewJSONHandler(w, opts)})
	}
	return slog.New(requestHandler{slog.NewTextHandler(w, opts)})
}

// requestHandler adds the request id of the context to each line.
type requestHandler struct{ slog.Handler }

func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := lb.RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}
