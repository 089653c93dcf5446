package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	pathpkg "path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"colonnade/internal/identity"
	v3 "colonnade/internal/identity/v3"
	"colonnade/internal/lb"
)

// Limits of a request.
const (
	maxBody        = 114688 // bytes, as upstream
	requestTimeout = 30 * time.Second
)

type contextKey int

const (
	keyPrincipal contextKey = iota
	keyBase
	keyClient     // its address
	keyConnection // the context that ends when the client has gone, without a deadline
	keyNote       // what is learned of it
	keyAsked      // the URL without query, as the client wrote it
)

func principal(ctx context.Context) identity.Principal {
	p, _ := ctx.Value(keyPrincipal).(identity.Principal)
	return p
}

// base is the URL up to before the version, as the client wrote it.
func base(ctx context.Context) string { s, _ := ctx.Value(keyBase).(string); return s }

// asked is the URL of the request without its query, as the client wrote it.
func asked(ctx context.Context) string { s, _ := ctx.Value(keyAsked).(string); return s }

// connection is the context that ends when the client has gone.
func connection(ctx context.Context) context.Context {
	if c, ok := ctx.Value(keyConnection).(context.Context); ok {
		return c
	}
	return ctx
}

// recorder remembers what was answered, and by which route.
type recorder struct {
	http.ResponseWriter
	status int
	route  string // pattern; "" when no route was found
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		r.ResponseWriter.WriteHeader(status)
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Observe is told each request that was served: its method and the pattern of its route ("" when there is none).
type Observe func(method, route string, status int, took time.Duration)

// logged gives each request an id and a deadline, logs and counts it, and turns a panic into a 500 that says nothing.
// Reads are logged at debug level: clients that wait for something ask often.
func logged(next http.Handler, log *slog.Logger, observe Observe) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now() // for log and metrics only
		id := "req-" + uuid.NewString()
		ctx := context.WithValue(lb.WithRequestID(r.Context(), id), keyConnection, r.Context())
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		rec := &recorder{ResponseWriter: w}
		rec.Header().Set("X-Openstack-Request-Id", id)
		r = r.WithContext(ctx)
		path := r.URL.Path
		defer func() {
			if p := recover(); p != nil {
				log.ErrorContext(ctx, "request panicked", "error", fmt.Sprint(p), "stack", string(debug.Stack()))
				reply(rec, answerFor(errPanic).status, answerFor(errPanic).body)
			}
			took := time.Since(began)
			served := log.InfoContext
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				served = log.DebugContext
			}
			served(ctx, "request served", "method", r.Method, "path", path, "status", rec.status, "duration_ms", took.Milliseconds())
			if observe != nil && rec.route != eventStream { // how long somebody followed is no time to answer
				observe(r.Method, rec.route, rec.status, took)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// open are the paths that anybody may read. Where no health is shown, nobody has to say who they are to learn that.
var open = map[string]bool{"/": true, "/openapi.json": true, networkPath: true, networkPath + "/openapi": true, "/healthcheck": true, keyManagerPrefix: true, keyManagerPrefix + "/v1": true}

// bounded looks at the size of a request.
func bounded(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength > maxBody {
		return errTooLarge
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	return nil
}

// authenticated asks who makes a request, after its size was looked at.
func authenticated(next http.Handler, who identity.Authenticator, authURL string, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := bounded(w, r); err != nil {
			fail(w, r, log, err)
			return
		}
		if (open[r.URL.Path] || docsTypes[r.URL.Path] != "") && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			next.ServeHTTP(w, r)
			return
		}
		p, err := who.Authenticate(r)
		if err != nil {
			if errors.Is(err, identity.ErrUnauthorized) {
				w.Header().Set("WWW-Authenticate", `Keystone uri="`+cmp.Or(authURL, base(r.Context())+v3.Prefix)+`"`)
			}
			fail(w, r, log, err)
			return
		}
		ctx := lb.WithCaller(context.WithValue(r.Context(), keyPrincipal, p), lb.Caller{
			UserID: p.UserID, ProjectID: p.ProjectID, Roles: slices.Sorted(slices.Values(p.Roles)),
			Address: clientOf(r.Context()), NoQuota: p.NoQuota,
		})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// loggingIn serves the Identity API, which nobody has a token for yet.
func loggingIn(next http.Handler, o v3.Options, log *slog.Logger) http.Handler {
	o.Base, o.Client, o.Log = base, clientOf, log
	accounts := routed(v3.Routes(o), log)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != v3.Prefix && !strings.HasPrefix(r.URL.Path, v3.Prefix+"/") {
			next.ServeHTTP(w, r)
			return
		}
		if err := bounded(w, r); err != nil {
			fail(w, r, log, err)
			return
		}
		accounts.ServeHTTP(w, r)
	})
}

// negotiated refuses what cannot be answered in JSON, and bodies that are not JSON.
func negotiated(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := "application/json"
		if docsTypes[r.URL.Path] != "" {
			kind = docsTypes[r.URL.Path]
		} else if r.URL.Path == eventStream {
			kind = "text/event-stream"
		}
		if !accepts(r.Header.Get("Accept"), kind) {
			fail(w, r, log, &routeFault{http.StatusNotAcceptable, "The resource could not be generated in any form but " + kind + "."})
			return
		}
		if t := r.Header.Get("Content-Type"); t != "" && r.ContentLength != 0 {
			if m, _, err := mime.ParseMediaType(t); err != nil || (m != "application/json" && !strings.HasSuffix(m, "+json")) {
				fail(w, r, log, errMediaType)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// accepts reports whether a client that says this takes an answer of that kind.
func accepts(accept, kind string) bool {
	family, _, _ := strings.Cut(kind, "/")
	if strings.TrimSpace(accept) == "" {
		return true
	}
	for one := range strings.SplitSeq(accept, ",") {
		m, params, err := mime.ParseMediaType(strings.TrimSpace(one))
		if q, numeric := strconv.ParseFloat(params["q"], 64); numeric == nil && q <= 0 {
			continue // "not this"
		}
		if err == nil && (m == "*/*" || m == family+"/*" || m == kind) {
			return true
		}
	}
	return false
}

// canonical takes every spelling of a path to the one that is routed: /load-balancer/v2.0/loadbalancers,
// /v2/lbaas/loadbalancers/ and /v2.0/lbaas/loadbalancers.json are all /v2.0/lbaas/loadbalancers.
func canonical(next http.Handler, edge Edge) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base, path := edge.base(r), r.URL.Path
		if rest, ok := strings.CutPrefix(path, "/load-balancer"); ok && (rest == "" || rest[0] == '/') {
			base, path = base+"/load-balancer", rest
		}
		ctx := context.WithValue(r.Context(), keyBase, base)
		ctx = context.WithValue(ctx, keyAsked, base+path)
		r2 := r.WithContext(context.WithValue(ctx, keyClient, edge.client(r)))
		r2.URL = new(*r.URL)
		r2.URL.Path, r2.URL.RawPath = canonicalPath(path), ""
		next.ServeHTTP(w, r2)
	})
}

func canonicalPath(path string) string {
	path = strings.TrimSuffix(pathpkg.Clean("/"+path), ".json")
	if path == "/openapi" {
		return "/openapi.json"
	}
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return "/"
	}
	if parts[1] != "v2" && parts[1] != "v2.0" {
		return path
	}
	if len(parts) == 2 || len(parts) == 3 && (parts[2] == "lbaas" || parts[2] == "octavia") {
		return "/v2.0"
	}
	rest := parts[2:]
	if ofNetworks(rest[0]) {
		return networkPath + "/v2.0/" + strings.Join(rest, "/")
	}
	switch rest[0] {
	case "lbaas", "octavia", "colonnade":
	default:
		rest = append([]string{"lbaas"}, rest...)
	}
	return "/v2.0/" + strings.Join(rest, "/")
}

// routed answers unknown paths and methods in the shape clients know.
func routed(mux *http.ServeMux, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			if rec, ok := w.(*recorder); ok {
				_, rec.route, _ = strings.Cut(pattern, " ")
			}
			mux.ServeHTTP(w, r)
			return
		}
		p := &probe{header: http.Header{}}
		h.ServeHTTP(p, r)
		f := &routeFault{http.StatusNotFound, "The resource could not be found."}
		if p.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", p.header.Get("Allow"))
			f = &routeFault{p.status, "The method " + r.Method + " is not allowed for this resource."}
		}
		fail(w, r, log, f)
	})
}

// probe takes an answer whose status and headers are wanted and whose text is not: the mux knows the methods of a path.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
func (p *probe) WriteHeader(status int)      { p.status = status }

func notFound(kind, id string) error { return lb.Faultf(lb.KindNotFound, "%s %s not found.", kind, id) }
