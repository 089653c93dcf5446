package agentrest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"colonnade/internal/agentconf"
	"colonnade/internal/httpstatus"
	"colonnade/internal/lb"
)

// Limits of one call. A document with 10,000 members is about 3 MB.
const (
	maxBody           = 16 << 20
	readHeaderTimeout = 5 * time.Second
	callTimeout       = 30 * time.Second
	shutdownTimeout   = 2 * time.Second
	maxRequestID      = 64
)

// Server answers an agent's routes to controllers.
type Server struct {
	conf   agentconf.Config
	routes []Route
	log    *slog.Logger
	now    func() time.Time
}

// NewServer makes the server of one agent; Run starts it.
func NewServer(conf agentconf.Config, routes []Route, log *slog.Logger, now func() time.Time) *Server {
	return &Server{conf: conf, routes: routes, log: log, now: now}
}

// Run listens on the management address and serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	own, err := hold(s.conf, s.now, s.log)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	addr := net.JoinHostPort(s.conf.ManagementIP, strconv.Itoa(agentconf.Port))
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for controllers: %w", err)
	}
	srv := &http.Server{
		Handler:           Handler(append(slices.Clone(s.routes), CertificateRoute(own.renew)), s.log),
		TLSConfig:         own.serverTLS(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       callTimeout,
		WriteTimeout:      callTimeout,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(ln, "", "") }()
	select {
	case err := <-done:
		return fmt.Errorf("serve controllers: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close() // a call that does not end in time is cut off; its sender retries
	}
	<-done
	return nil
}

// Handler is the routes as an HTTP handler, apart from the transport.
func Handler(routes []Route, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	for _, route := range routes {
		mux.Handle(route.Method+" "+route.Path, serve(route, log))
	}
	return mux
}

func serve(route Route, log *slog.Logger) http.HandlerFunc {
	// Changes are few; whether an agent is asked for its status is of no interest.
	level := slog.LevelInfo
	if route.Method == http.MethodGet {
		level = slog.LevelDebug
	}
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now() // for the log only
		if id := r.Header.Get(RequestIDHeader); len(id) <= maxRequestID {
			r = r.WithContext(lb.WithRequestID(r.Context(), id))
		}
		defer func() {
			if p := recover(); p != nil {
				log.ErrorContext(r.Context(), "agent call panicked", "route", route.Path, "reason", p, "stack", string(debug.Stack()))
				answer(w, http.StatusInternalServerError, map[string]any{"error": "internal error"})
			}
		}()
		body, err := decode(route, w, r)
		if err != nil {
			log.InfoContext(r.Context(), "agent call refused", "route", route.Path, "method", route.Method, "reason", err.Error())
			answerError(w, err)
			return
		}
		result, err := route.Handle(r.Context(), r, body)
		if err != nil {
			log.InfoContext(r.Context(), "agent call refused", "route", route.Path, "method", route.Method, "reason", err.Error())
			answerError(w, err)
			return
		}
		log.Log(r.Context(), level, "agent call served", "route", route.Path, "method", route.Method, "duration_ms", time.Since(began).Milliseconds())
		if result == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(w, http.StatusOK, result)
	}
}

// decode reads the body strictly: one JSON value of the route's type, nothing unknown, nothing after it.
func decode(route Route, w http.ResponseWriter, r *http.Request) (any, error) {
	if route.Request == nil {
		return nil, nil
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, cmp.Or(route.MaxBody, maxBody)))
	if err != nil {
		return nil, lb.Faultf(lb.KindInvalid, "read body: %v", err)
	}
	body := reflect.New(reflect.TypeOf(route.Request)).Interface()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(body); err != nil {
		return nil, lb.Faultf(lb.KindInvalid, "decode body: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, lb.Faultf(lb.KindInvalid, "decode body: more than one JSON value")
	}
	return body, nil
}

func answerError(w http.ResponseWriter, err error) {
	body := map[string]any{}
	status := httpstatus.Of(lb.KindOf(err))
	var typed interface {
		error
		HTTPStatus() int
	}
	if errors.As(err, &typed) {
		status = typed.HTTPStatus()
		// The error's own fields travel beside its text, so that the client can make the same error again.
		if raw, mErr := json.Marshal(typed); mErr == nil {
			_ = json.Unmarshal(raw, &body)
		}
	}
	body["error"] = err.Error()
	answer(w, status, body)
}

func answer(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		http.Error(w, `{"error":"encode answer"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // the peer is gone; it will ask again
}
