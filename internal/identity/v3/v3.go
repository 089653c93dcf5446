// Package v3 is the part of the Identity v3 API that clients call before and beside the Load Balancer API: they log in
// with a password, a token or an application credential, read the catalog, look up projects and users by name, and make
// application credentials. Users, projects and roles are of the configuration and cannot be changed here.
package v3

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"colonnade/internal/identity"
	"colonnade/internal/lb"
)

// Service is a line of the catalog.
type Service struct {
	Type string // as clients look for it: "load-balancer"
	Name string
	Path string // after the base, "/load-balancer"
}

// Options are what the API is made of.
type Options struct {
	Accounts *identity.Embedded
	Region   string    // of all endpoints
	Services []Service // beside identity itself
	// Base is the address that the client used, without a path of ours.
	Base func(ctx context.Context) string
	// Client is the address that the request came from.
	Client func(ctx context.Context) string
	Log    *slog.Logger
}

// Prefix begins all paths.
const Prefix = "/identity"

type server struct{ Options }

// handler serves a call; a nil answer is an empty body.
type handler func(w http.ResponseWriter, r *http.Request, s identity.Session) (status int, body any, err error)

// Routes makes the API.
func Routes(o Options) *http.ServeMux {
	s := &server{o}
	mux := http.NewServeMux()
	const v3 = Prefix + "/v3"
	for pattern, h := range map[string]handler{
		"GET " + v3 + "/auth/tokens":                                     s.showToken,
		"DELETE " + v3 + "/auth/tokens":                                  s.revokeToken,
		"GET " + v3 + "/auth/catalog":                                    s.showCatalog,
		"GET " + v3 + "/auth/projects":                                   s.listOwnProjects,
		"GET " + v3 + "/auth/domains":                                    s.listOwnDomains,
		"GET " + v3 + "/projects":                                        s.listProjects,
		"GET " + v3 + "/projects/{id}":                                   s.showProject,
		"GET " + v3 + "/users":                                           s.listUsers,
		"GET " + v3 + "/users/{user_id}":                                 s.showUser,
		"GET " + v3 + "/users/{user_id}/projects":                        s.listUserProjects,
		"GET " + v3 + "/roles":                                           s.listRoles,
		"GET " + v3 + "/roles/{id}":                                      s.showRole,
		"GET " + v3 + "/role_assignments":                                s.listAssignments,
		"GET " + v3 + "/domains":                                         s.listDomains,
		"GET " + v3 + "/domains/{id}":                                    s.showDomain,
		"GET " + v3 + "/users/{user_id}/application_credentials":         s.listCredentials,
		"POST " + v3 + "/users/{user_id}/application_credentials":        s.createCredential,
		"GET " + v3 + "/users/{user_id}/application_credentials/{id}":    s.showCredential,
		"DELETE " + v3 + "/users/{user_id}/application_credentials/{id}": s.deleteCredential,
	} {
		mux.HandleFunc(pattern, s.authenticated(h))
	}
	mux.HandleFunc("GET "+Prefix, s.versions)
	mux.HandleFunc("GET "+v3, s.version)
	mux.HandleFunc("POST "+v3+"/auth/tokens", s.login)
	return mux
}

func (s *server) authenticated(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		session, err := s.Accounts.Session(r.Context(), r.Header.Get("X-Auth-Token"))
		status, body := 0, any(nil)
		if err == nil {
			status, body, err = h(w, r, session)
		}
		s.reply(w, r, status, body, err)
	}
}

func (s *server) reply(w http.ResponseWriter, r *http.Request, status int, body any, err error) {
	if err != nil {
		status, body = s.refusal(w, r, err)
	}
	w.Header().Set("Vary", "X-Auth-Token")
	var b []byte
	if body != nil {
		if b, err = json.Marshal(body); err != nil {
			status, b = http.StatusInternalServerError, []byte(`{"error":{"code":500,"title":"Internal Server Error","message":"An internal error occurred."}}`)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client has gone when this fails
}

// statuses of faults.
var statuses = map[lb.Kind]int{
	lb.KindInvalid: http.StatusBadRequest, lb.KindForbidden: http.StatusForbidden, lb.KindNotFound: http.StatusNotFound,
	lb.KindConflict: http.StatusConflict, lb.KindUnavailable: http.StatusServiceUnavailable,
}

// refusal is an error as Identity's clients read it.
func (s *server) refusal(w http.ResponseWriter, r *http.Request, err error) (status int, body any) {
	var fault *lb.Fault
	var tooLarge *http.MaxBytesError
	status, text := http.StatusInternalServerError, "An internal error occurred; the operator's log has the details under this request's id."
	switch {
	case errors.Is(err, identity.ErrUnauthorized):
		status, text = http.StatusUnauthorized, "The request you have made requires authentication."
		w.Header().Set("WWW-Authenticate", `Keystone uri="`+s.Base(r.Context())+Prefix+`"`)
	case errors.Is(err, identity.ErrTooManyAttempts):
		status, text = http.StatusTooManyRequests, "Too many failed attempts; wait a moment before the next."
		w.Header().Set("Retry-After", "5")
	case errors.As(err, &tooLarge):
		status, text = http.StatusRequestEntityTooLarge, "Request is too large."
	case errors.As(err, &fault) && statuses[fault.Kind] != 0:
		status, text = statuses[fault.Kind], fault.Text
	case errors.Is(err, identity.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		status, text = http.StatusServiceUnavailable, "The service could not answer in time; please try again."
	}
	if status >= http.StatusInternalServerError {
		s.Log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	return status, map[string]any{"error": map[string]any{"code": status, "title": http.StatusText(status), "message": text}}
}

// readBody reads JSON into dst; what dst does not know is left out, as there.
func readBody(r *http.Request, dst any) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, dst); err != nil {
		return lb.Faultf(lb.KindInvalid, "Expecting to find valid JSON in the body that has the right types: %s.", jsonProblem(err))
	}
	return nil
}

// jsonProblem says what is wrong without quoting the body, which may hold a password.
func jsonProblem(err error) string {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrongType):
		return "the type of " + wrongType.Field
	case errors.As(err, &syntax):
		return "the syntax at offset " + strconv.FormatInt(syntax.Offset, 10)
	}
	return "its end is missing"
}

var errForbidden = lb.Faultf(lb.KindForbidden, "You are not authorized to perform the requested action.")

// stamp writes a time as Keystone does; null when there is none.
func stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC().Format("2006-01-02T15:04:05.000000Z"))
}

type links struct {
	Self     string  `json:"self"`
	Previous *string `json:"previous"`
	Next     *string `json:"next"`
}

// collection is a list as there: whole, with a link to itself.
func collection[T any](s *server, r *http.Request, root string, all []T) map[string]any {
	if all == nil {
		all = []T{}
	}
	return map[string]any{root: all, "links": links{Self: s.url(r, r.URL.Path)}}
}

func (s *server) url(r *http.Request, path string) string { return s.Base(r.Context()) + path }

func self(href string) map[string]string { return map[string]string{"self": href} }

// versions lists the one there is. The status says that there is a choice, as Keystone's does.
func (s *server) versions(w http.ResponseWriter, r *http.Request) {
	s.reply(w, r, http.StatusMultipleChoices, map[string]any{"versions": map[string]any{"values": []any{s.described(r)}}}, nil)
}

func (s *server) version(w http.ResponseWriter, r *http.Request) {
	s.reply(w, r, http.StatusOK, map[string]any{"version": s.described(r)}, nil)
}

func (s *server) described(r *http.Request) any {
	return map[string]any{
		"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
		"links":       []any{map[string]string{"rel": "self", "href": s.url(r, Prefix+"/v3/")}},
		"media-types": []any{map[string]string{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}},
	}
}

// keep is the filter of a list by the values of a query that are given.
func keep[T any](all []T, r *http.Request, of func(T) map[string]string) []T {
	q := r.URL.Query()
	return slices.DeleteFunc(slices.Clone(all), func(v T) bool {
		for name, value := range of(v) {
			if q.Has(name) && q.Get(name) != value {
				return true
			}
		}
		return false
	})
}
