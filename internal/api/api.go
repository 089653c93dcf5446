// Package api is the REST API: the Load Balancer v2 API, which Octavia's clients use unchanged, and the operator's
// calls. One file a resource; errors become HTTP in fault.go alone, lists follow list.go, bodies are read by
// decode.go. It is the only package that knows huma, which keeps the routes and writes the OpenAPI document.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"colonnade/internal/api/neutron"
	"colonnade/internal/identity"
	v3 "colonnade/internal/identity/v3"
	"colonnade/internal/lb"
	"colonnade/internal/store"
)

// Settings are what new clusters get unless an operator says otherwise (S44).
type Settings struct {
	lb.Shape
	Cooldown time.Duration // between elective changes
	// AcceptWhilePending lets changes of a load balancer in PENDING_* coalesce instead of answering 409.
	AcceptWhilePending bool
	// TenantRanges are where subnets may lie that projects make for themselves.
	TenantRanges []netip.Prefix
	// Rules are the operator's part in what requests may ask for.
	Rules lb.Rules
}

// DefaultSettings are three active amphorae and one standby.
func DefaultSettings() Settings {
	return Settings{Shape: lb.Shape{
		Topology: lb.TopologyActiveActive, DesiredSize: 3, MinSize: 1, StandbySize: 1, Type: lb.ClusterFixed,
		Affinity: lb.AffinitySourceIP, Sharing: lb.SharingProject,
	}, Cooldown: 30 * time.Second, Rules: lb.DefaultRules()}
}

// Deps is what the API stands on.
type Deps struct {
	Store    Store
	Networks Networks
	// Operator is nil where networks are not ours to make; its calls answer 501 then.
	Operator NetworkOperator
	// Ports is nil where machines are put on networks by others; its calls answer 501 then.
	Ports PortOperator
	// Neutron is nil where networks are made elsewhere; the Network API answers 501 then.
	Neutron neutron.Networks
	// Provider says what the deployment's amphorae can do.
	Provider Provider
	// Certificates are asked about references of listeners and pools.
	Certificates Certificates
	// Vault is nil where tenants' secrets are kept by others; the key manager is not there then.
	Vault    Vault
	Identity identity.Authenticator
	// Accounts is where clients log in; nil where they do so elsewhere.
	Accounts *v3.Options
	// AuthURL tells who was not let in where to log in; "" is at this server.
	AuthURL  string
	Settings Settings
	Edge     Edge
	// Check is what GET /healthcheck asks; nil answers 404 there.
	Check func(ctx context.Context) error
	// Observe is told every request; nil tells nobody.
	Observe Observe
	Log     *slog.Logger
}

type server struct {
	Deps
	lists    together
	known    remembered
	refusals limiter
	feed     *feed
}

// New makes the API's handler.
func New(deps Deps) (*Handler, error) {
	if deps.Store == nil || deps.Networks == nil || deps.Provider == nil || deps.Certificates == nil || deps.Identity == nil || deps.Log == nil {
		return nil, errors.New("make api: store, networks, provider, certificates, identity and log are needed")
	}
	if s := deps.Settings; s.DesiredSize < 1 || s.MinSize < 1 || s.MinSize > s.DesiredSize || s.StandbySize < 0 || s.Cooldown < 0 {
		return nil, fmt.Errorf("make api: settings %+v: sizes must be 1 ≤ min_size ≤ desired_size and standby_size ≥ 0", s)
	}
	if err := deps.Settings.Rules.Check(); err != nil {
		return nil, fmt.Errorf("make api: %w", err)
	}
	mux := http.NewServeMux()
	s := &server{Deps: deps, feed: &feed{store: deps.Store, log: deps.Log}}
	s.routes(mux)
	document, err := OpenAPI()
	if err != nil {
		return nil, err
	}
	if err := s.serveNeutron(mux); err != nil {
		return nil, err
	}
	mux.HandleFunc("GET /{$}", s.versions)
	mux.HandleFunc("GET /v2.0", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, "v2") })
	for path := range docsTypes {
		mux.HandleFunc("GET "+path, docs)
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document) // the client has gone when this fails
	})
	h := negotiated(routed(mux, deps.Log), deps.Log)
	if deps.Vault != nil {
		h = keyManaging(h, s)
	}
	h = authenticated(h, deps.Identity, deps.AuthURL, deps.Log)
	if deps.Accounts != nil {
		h = loggingIn(h, *deps.Accounts, deps.Log)
	}
	if deps.Check != nil {
		h = healthchecked(h, deps.Check, deps.Log)
	}
	return &Handler{logged(canonical(h, deps.Edge), deps.Log, deps.Observe), s.feed}, nil
}

// Handler is the API. Close ends the answers that would not end by themselves.
type Handler struct {
	http.Handler
	feed *feed
}

// Close ends all streams of events, and refuses new ones.
func (h *Handler) Close() error {
	h.feed.close()
	return nil
}

// NewServer makes an HTTP server for the handler with a deadline on everything a client could stretch. A handler that can
// be closed is closed when the server is shut down.
func NewServer(h http.Handler) *http.Server {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	if c, ok := h.(io.Closer); ok {
		server.RegisterOnShutdown(func() { _ = c.Close() }) // it has nothing to say
	}
	return server
}

// call is one request on its way through a handler.
type call struct {
	r     *http.Request
	body  []byte
	query url.Values
	url   string // of this resource, as the client wrote it, without query
	// narrow are filters that the path implies; who lists was allowed to read what it names.
	narrow map[string][]string
	limit  int             // most rows of a page
	sort   []store.SortKey // of a list whose request names none
	// scope is whose objects a list may show; that of load balancers when it is not set.
	scope scope
}

func (c *call) id() string   { return c.r.PathValue("id") }
func (c *call) pool() string { return c.r.PathValue("pool_id") }

func (c *call) policy() string { return c.r.PathValue("l7policy_id") }

func (c *call) project() string { return c.r.PathValue("project_id") }

// handler serves a call; a nil answer is an empty body.
type handler func(ctx context.Context, c *call) (any, error)

// handle registers one operation with its handler.
func (s *server) handle(api huma.API, op huma.Operation, h handler) {
	api.OpenAPI().AddOperation(&op)
	status := op.DefaultStatus
	called := operation{id: op.OperationID, method: op.Method, path: op.Path, status: status}
	api.Adapter().Handle(&op, func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		c, err := readCall(r)
		var body []byte
		if c != nil {
			c.limit = s.Edge.pageLimit()
		}
		ctx, about := r.Context(), (*note)(nil)
		if mutates(op.Method) {
			ctx, about = noted(ctx, called)
		}
		switch {
		case err != nil:
		case strings.HasPrefix(op.OperationID, "list-"):
			body, err = s.lists.do(r.Context(), c.kind(), func(ctx context.Context) ([]byte, error) { return s.list(ctx, c, op.Path, h) })
		default:
			body, err = answered(ctx, c, h)
		}
		if about != nil {
			s.audit(ctx, called, about, c, body, err)
		}
		if err != nil {
			fail(w, r, s.Log, err)
			return
		}
		write(w, status, body)
	})
}

// handleStream registers an operation that writes its answer by itself; an error is one before the first byte.
func (s *server) handleStream(api huma.API, op huma.Operation, h func(http.ResponseWriter, *http.Request, *call) error) {
	api.OpenAPI().AddOperation(&op)
	api.Adapter().Handle(&op, func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		c, err := readCall(r)
		if err == nil {
			c.limit = s.Edge.pageLimit()
			err = h(w, r, c)
		}
		if err != nil {
			fail(w, r, s.Log, err)
		}
	})
}

// list answers a list, of those that show the database alone with what is remembered of it.
func (s *server) list(ctx context.Context, c *call, path string, h handler) ([]byte, error) {
	if !strings.HasPrefix(path, lbaas+"/") {
		return answered(ctx, c, h)
	}
	state, err := s.Store.State(ctx) // before it is read, so that an answer never shows less than its state has
	if err != nil {
		return nil, err
	}
	return s.known.or(c.kind(), state, func() ([]byte, error) { return answered(ctx, c, h) })
}

// answered is a handler's answer as JSON; nil is an empty body.
func answered(ctx context.Context, c *call, h handler) ([]byte, error) {
	out, err := h(ctx, c)
	if err != nil || out == nil {
		return nil, err
	}
	return json.Marshal(out)
}

// kind is all that the answer to a read depends on but what is stored.
func (c *call) kind() string {
	who := principal(c.r.Context())
	return fmt.Sprintf("%q %q %q %q %q", c.url, c.r.URL.RawQuery, who.UserID, who.ProjectID, who.Roles)
}

// readCall reads a request. No text that a database could not hold comes past it, and no query that it read only half of.
func readCall(r *http.Request) (*call, error) {
	if !legible(r.URL.Path) {
		return nil, &routeFault{http.StatusNotFound, "The resource could not be found."}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &routeFault{http.StatusBadRequest, "The query can not be read: " + err.Error()}
	}
	for name, values := range query {
		if !legible(name) || !legible(values...) {
			return nil, &routeFault{http.StatusBadRequest, fmt.Sprintf("The query has a value of %q that is no text.", name)}
		}
	}
	body, err := io.ReadAll(r.Body)
	return &call{r: r, body: body, query: query, url: asked(r.Context())}, err
}

// legible reports whether all are UTF-8 without NUL.
func legible(texts ...string) bool {
	return !slices.ContainsFunc(texts, func(s string) bool { return !utf8.ValidString(s) || strings.ContainsRune(s, 0) })
}
