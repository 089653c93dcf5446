// Package agentrest is the mutual-TLS REST transport between the control plane and agents: routes as a table on the
// agent's side, one client on the other. What the calls mean is with amphora and distributor.
package agentrest

import (
	"context"
	"net/http"
)

// Route is one call of an agent's API. Routes are a table, so that the server's mux and the committed OpenAPI document
// come from the same lines.
type Route struct {
	Method  string // http.MethodPut …
	Path    string // net/http pattern without the method: "/v1/loadbalancers/{lb_id}/vip"
	Summary string
	// Request is a zero value of the body's type, nil when there is none; bodies are decoded strictly.
	Request any
	// MaxBody bounds the body; 0 is the limit of all calls.
	MaxBody int64
	// Query names the query's parameters: mandatory whole numbers.
	Query []string
	// Response is a zero value of the answer's type, nil for an empty answer (204).
	Response any
	// Refusals are zero values of the typed errors that the call may answer with.
	Refusals []Refusal
	// Handle gets a pointer to a decoded Request (nil when there is none) and returns the answer. Errors that have a
	// method HTTPStatus() int choose their status and are sent as their own JSON with "error" beside; *lb.Fault by kind.
	Handle func(ctx context.Context, r *http.Request, body any) (any, error)
}

// Refusal is an error that chooses its status and travels with its own fields.
type Refusal interface {
	error
	HTTPStatus() int
}
